import { newId } from "@soldier/kernel/ids";
import { ChangeKind } from "@soldier/proto/config/v1/config_service";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { desk, documentOf } from "../domain/testing.ts";
import { type ConfigUnderTest, configUnderTest, faultOf } from "./testing.ts";

describeOn("applying a document", testDatabase(), (backend) => {
  let under: ConfigUnderTest;
  beforeAll(async () => {
    under = await configUnderTest(backend, { server: { max_message_bytes: 67_108_864 } });
  });
  afterAll(() => under[Symbol.asyncDispose]());

  it("makes the agent with all of its draft, and publishes it if told to", async () => {
    const tenantId = newId();
    const calls = under.as({ tenantId });
    const made = await calls.applyAgent({ document: documentOf(desk()), publish: true });
    expect(made).toMatchObject({ version: 1n, draftEtag: "1" });
    expect(made.changes).toHaveLength(14);
    const { agent } = await calls.getAgent({ agentId: "desk" });
    expect(agent).toMatchObject({ id: made.agentId, publishedVersion: 1n });
    const { audited } = await under.committed(tenantId);
    expect(audited.map(({ event }) => event?.action)).toEqual(["agent.applied", "agent.published"]);
  });

  it("a second time changes nothing and publishes nothing new", async () => {
    const tenantId = newId();
    const calls = under.as({ tenantId });
    await calls.applyAgent({ document: documentOf(desk()), publish: true });
    const before = await under.committed(tenantId);
    const again = await calls.applyAgent({ document: documentOf(desk()), publish: true });
    expect(again).toMatchObject({ changes: [], version: 1n, draftEtag: "1" });
    const { document, draftEtag } = await calls.exportAgent({ agentId: "desk" });
    const exported = await calls.applyAgent({ document: document!, draftEtag, publish: true });
    expect(exported).toMatchObject({ changes: [], version: 1n, draftEtag: "1" });
    expect(await under.committed(tenantId)).toEqual(before);
  });

  it("says what would change without changing it", async () => {
    const calls = under.as();
    const first = await calls.applyAgent({ document: documentOf(desk()), dryRun: true });
    expect(first).toMatchObject({ agentId: "", draftEtag: "", version: 0n });
    expect(first.changes).toHaveLength(14);
    expect(await faultOf(calls.getAgent({ agentId: "desk" }))).toMatchObject({ kind: "not-found" });

    await calls.applyAgent({ document: documentOf(desk()) });
    const json = desk();
    json.templates[1] = { name: "hello", text: "Good day!" };
    json.rules.pop();
    const preview = await calls.applyAgent({ document: documentOf(json), dryRun: true });
    expect(
      preview.changes.map(({ kind, collection, name, fields }) => [kind, collection, name, fields]),
    ) //
      .toEqual([
        [ChangeKind.DELETED, "rules", "no-card-numbers", []],
        [ChangeKind.UPDATED, "templates", "hello", ["text"]],
      ]);
    const { template } = await calls.getTemplate({ agentId: "desk", templateId: "hello" });
    expect(template?.text).toContain("Hello!");
  });

  it("keeps the ids of what has the same name", async () => {
    const calls = under.as();
    await calls.applyAgent({ document: documentOf(desk()) });
    const { rule: before } = await calls.getRule({ agentId: "desk", ruleId: "greet" });
    const json = desk();
    json.rules[1] = { name: "greet", condition: "the customer says hello", action: "Greet." };
    await calls.applyAgent({ document: documentOf(json) });
    const { rule: after } = await calls.getRule({ agentId: "desk", ruleId: "greet" });
    expect(after).toMatchObject({ id: before!.id, condition: "the customer says hello" });
    expect(after?.meta?.createdAt).toEqual(before?.meta?.createdAt);
  });

  it("lists all problems by resource and field, and writes nothing", async () => {
    const calls = under.as();
    await calls.applyAgent({ document: documentOf(desk()) });
    const json = desk();
    json.rules.push({ name: "new", action: "a", template_ids: ["nope"], guard: "1 +" });
    json.templates.push({ name: "broken", text: "{" });
    const fault = await faultOf(calls.applyAgent({ document: documentOf(json), publish: true }));
    expect(fault).toMatchObject({
      kind: "invalid",
      reason: "DRAFT_INVALID",
      metadata: { problems: "EXPRESSION_INVALID,REFERENCE_UNKNOWN,TEMPLATE_SYNTAX" },
    });
    expect(fault.fields.map(({ field }) => field)).toEqual([
      "rules/new.template_ids[0]",
      "rules/new.guard",
      "templates/broken.text",
    ]);
    expect((await calls.listRules({ agentId: "desk" })).rules).toHaveLength(4);
  });

  it("is refused when the draft is in another state than was read", async () => {
    const calls = under.as();
    const document = documentOf(desk());
    const early = calls.applyAgent({ document, draftEtag: "1" });
    expect(await faultOf(early)).toMatchObject({ kind: "conflict", reason: "ETAG_MISMATCH" });
    const { draftEtag } = await calls.applyAgent({ document });
    await calls.createTemplate({ agentId: "desk", template: { name: "x", text: "t" } });
    const stale = calls.applyAgent({ document, draftEtag });
    expect(await faultOf(stale)).toMatchObject({ reason: "ETAG_MISMATCH" });
    await calls.getTemplate({ agentId: "desk", templateId: "x" });
  });

  it("by many at once makes one agent", async () => {
    const calls = under.as();
    const results = await Promise.all(
      Array.from({ length: 5 }, () => calls.applyAgent({ document: documentOf(desk()) })),
    );
    expect(new Set(results.map(({ agentId }) => agentId)).size).toBe(1);
    expect(results.map(({ changes }) => changes.length).toSorted((a, b) => a - b)).toEqual([
      0, 0, 0, 0, 14,
    ]);
  });

  it("tells the problems of a draft and what is doubtful in it", async () => {
    const calls = under.as();
    const json = desk();
    json.templates.push({ name: "lonely", text: "t" });
    await calls.applyAgent({ document: documentOf(json) });
    const { problems } = await calls.validateDraft({ agentId: "desk" });
    expect(problems).toMatchObject([
      { field: "templates/lonely", reason: "NEVER_USED", warning: true },
    ]);
  });

  it("with 2,000 rules takes a few seconds, and its bundle is whole", async () => {
    const calls = under.as();
    const json = desk();
    for (let i = 0; i < 2_000; i++)
      json.rules.push({
        name: `rule-${i}`,
        condition: `the customer asks about thing number ${i}`,
        examples: [`what about ${i}`, `tell me of ${i}`],
        action: `Explain thing ${i}.`,
        guard: `session.turn > ${i}`,
        template_ids: ["hello"],
      });
    const started = performance.now();
    const { version } = await calls.applyAgent({ document: documentOf(json), publish: true });
    const seconds = (performance.now() - started) / 1_000;
    expect(version).toBe(1n);
    expect(seconds).toBeLessThan(20); // about 3 s; the machine may be busy
    const { bundle } = await calls.getBundle({ agentId: "desk" });
    expect(bundle?.rules).toHaveLength(2_004);
    expect(bundle?.embeddings?.vectors.byteLength).toBe(
      bundle!.embeddings!.texts.length * bundle!.embeddings!.dimensions * 4,
    );
  });
});
