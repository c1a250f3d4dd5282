import { newId } from "@soldier/kernel/ids";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { desk, documentOf } from "../domain/testing.ts";
import { type ConfigUnderTest, configUnderTest, faultOf } from "./testing.ts";

describeOn("compiling what is not published", testDatabase(), (backend) => {
  const opened = new AsyncDisposableStack();
  let under: ConfigUnderTest;
  let rowsByTable: () => Promise<Record<string, number>>;
  beforeAll(async () => {
    const database = opened.use(await backend.open());
    under = opened.use(await configUnderTest({ ...backend, open: async () => lent(database) }));
    const sql = postgres(database.url, { max: 1 });
    opened.defer(() => sql.end());
    rowsByTable = async () => {
      const tables = await sql<{ name: string }[]>`
        select table_name as name from information_schema.tables where table_schema = 'config'`;
      const counts = tables.map(async ({ name }) => {
        const [row] = await sql<
          { n: number }[]
        >`select count(*)::int as n from config.${sql(name)}`;
        return [name, row?.n ?? -1] as const;
      });
      return Object.fromEntries(await Promise.all(counts));
    };
  });
  afterAll(() => opened.disposeAsync());

  it("gives the draft as it stands, with the ids and values that it has", async () => {
    const calls = under.as({ tenantId: newId() });
    await calls.applyAgent({ document: documentOf(desk()), publish: true });
    const { template } = await calls.createTemplate({
      agentId: "desk",
      template: { name: "later", text: "Later.", conditions: "session.turn > 1" },
    });
    const text = { kind: { case: "stringValue", value: "+43" } } as const;
    await calls.setVariableValue({ agentId: "desk", value: { variable: "phone", value: text } });
    const { bundle, variableValues } = await calls.compileBundle({ agentId: "desk" });
    expect(bundle).toMatchObject({ version: 0n, agent: { slug: "desk" } });
    expect(bundle?.templates.map(({ id }) => id)).toContain(template?.id);
    expect(bundle?.embeddings?.texts).toContain("the customer greets");
    expect(variableValues).toMatchObject([{ variable: "phone", value: text }]);
    expect((await calls.getBundle({ agentId: "desk" })).bundle?.templates).toHaveLength(3);
  });

  it("gives a document of an agent that is not there, and writes into no table", async () => {
    const calls = under.as({ tenantId: newId() });
    const before = await rowsByTable();
    const { bundle } = await calls.compileBundle({ agentId: "desk", document: documentOf(desk()) });
    expect(bundle?.rules).toHaveLength(4);
    expect(bundle?.rules[0]?.templateIds).not.toEqual(["refund"]);
    expect(bundle?.embeddings?.vectors.byteLength).toBeGreaterThan(0);
    expect(await rowsByTable()).toEqual(before);
  });

  it("gives what a document has in common with the draft the same ids", async () => {
    const calls = under.as({ tenantId: newId() });
    await calls.applyAgent({ document: documentOf(desk()) });
    const { rule } = await calls.getRule({ agentId: "desk", ruleId: "greet" });
    const before = await rowsByTable();
    const { bundle } = await calls.compileBundle({ agentId: "desk", document: documentOf(desk()) });
    expect(bundle?.rules.find(({ name }) => name === "greet")?.id).toBe(rule?.id);
    expect(await rowsByTable()).toEqual(before);
  });

  it("finds wrong what saving finds wrong", async () => {
    const calls = under.as({ tenantId: newId() });
    const json = desk();
    json.rules.push({ name: "new", action: "a", template_ids: ["nope"], guard: "1 +" });
    json.templates.push({ name: "x", text: "{" });
    const document = documentOf(json);
    const saving = await faultOf(calls.applyAgent({ document }));
    const trying = await faultOf(calls.compileBundle({ agentId: "desk", document }));
    expect([trying.kind, trying.reason, trying.message, trying.fields]).toEqual([
      saving.kind,
      saving.reason,
      saving.message,
      saving.fields,
    ]);
    const nobody = await faultOf(calls.compileBundle({ agentId: "desk" }));
    expect(nobody.reason).toBe("AGENT_NOT_FOUND");
  });
});

/** The suite's own database, which the service must not end. */
function lent<T extends object>(database: T): T & AsyncDisposable {
  return { ...database, [Symbol.asyncDispose]: async () => {} };
}
