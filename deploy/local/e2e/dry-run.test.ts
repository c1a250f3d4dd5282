import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { overridden } from "@soldier/chassis/settings";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { demoToken } from "../demo.ts";
import { startOneProcess } from "../one-process.ts";
import { chat, read, settings, surroundings } from "./desk.ts";

interface DryRun {
  readonly record: {
    readonly bundleVersion?: string;
    readonly replyText?: string;
    readonly toolCalls?: readonly {
      readonly name: string;
      readonly outcome: string;
      readonly reason?: string;
    }[];
    readonly rules?: readonly { readonly name: string; readonly applied?: boolean }[];
    readonly navigation?: { readonly after?: string };
  };
  readonly state: Record<string, unknown>;
  readonly error?: { readonly reason: string; readonly fields: readonly { field: string }[] };
}

const tool = (name: string, method: string, more: object = {}) => ({
  name,
  input_schema: { type: "object" },
  http: { method, url: `\${example_backend}/${name}` },
  ...more,
});

/** Everything that could have an effect, on one message. */
const behaviour = (greeting: string) => ({
  agent: { slug: "desk", name: "Desk" },
  rules: [
    {
      name: "greet",
      condition: "the customer greets",
      examples: ["hello"],
      template_ids: ["greeting"],
    },
    {
      name: "order",
      condition: "the customer wants a lamp",
      examples: ["I want a lamp"],
      tool_ids: ["look", "buy", "put", "remember", "leave"],
      fires_per_session_max: 5,
    },
  ],
  scenarios: [
    {
      name: "taxi",
      entry_condition: "the customer wants a taxi",
      entry_examples: ["I want a taxi"],
      steps: [
        {
          id: "pick",
          instructions: "Where from?",
          collects: ["email"],
          tool_ids: ["buy"],
          terminal: true,
        },
      ],
    },
  ],
  templates: [{ name: "greeting", text: greeting }],
  tools: [
    tool("look", "GET"),
    tool("buy", "POST"),
    tool("put", "PUT", { idempotent: true, retries_max: 3 }),
    tool("count", "POST", { idempotent: true }),
    {
      name: "remember",
      input_schema: { type: "object" },
      arguments: { field: { constant: "colour" }, value: { constant: "red" } },
      builtin: { name: "set_field" },
    },
    { name: "leave", input_schema: { type: "object" }, builtin: { name: "close_session" } },
  ],
  variables: [{ name: "visits", tool_id: "count", policy: "VARIABLE_POLICY_ON_EACH_TURN" }],
  field_definitions: [{ name: "email", extraction_pattern: "(\\S+@\\S+)" }],
});

describe("a dry run", { timeout: 60_000 }, () => {
  const opened = new AsyncDisposableStack();
  const asked: string[] = [];
  let url: string;
  let token: string;
  let sql: Sql;
  beforeAll(async () => {
    const server = createServer((req, res) => {
      asked.push(`${req.method} ${req.url}`);
      res.writeHead(200, { "content-type": "application/json" }).end('{"ok": true}');
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    opened.defer(() => new Promise((resolve) => server.close(() => resolve())));
    opened.defer(() => server.closeAllConnections());
    const around = await surroundings(opened);
    const test = {
      postgres: { url: around.databaseUrl },
      server: { ports: { chat_gateway: 0 }, admin_ports: { together: 0 } },
      embedder: { provider: "deterministic" },
    };
    const running = opened.use(
      await startOneProcess({
        settings: overridden(settings, test, "the test"),
        directory: around.directory,
        // A server that listens on TCP has an address of this kind.
        backendUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      }),
    );
    url = running.url ?? "";
    token = await demoToken(settings);
    sql = postgres(around.databaseUrl, { max: 1 });
    opened.defer(() => sql.end());
    for (const greeting of ["Hello of one.", "Hello of two."])
      await post("/v1/agents:apply", { document: behaviour(greeting), publish: true });
    await post("/v1/agents:apply", { document: behaviour("Hello of the draft.") });
  }, 60_000);
  afterAll(() => opened.disposeAsync());

  async function post<T>(path: string, body: object): Promise<T> {
    const res = await fetch(url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return (await res.json()) as T; // the contract under test
  }

  const dryRun = (body: object) => post<DryRun>("/v1/agents/desk/dry-run", body);

  /** How many rows each table of each service has. */
  async function rowsByTable(): Promise<Record<string, number>> {
    const tables = await sql<{ schema: string; name: string }[]>`
      select table_schema as schema, table_name as name from information_schema.tables
      where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`;
    const counts: Record<string, number> = {};
    for (const { schema, name } of tables) {
      const [row] = await sql<{ n: number }[]>`
        select count(*)::int as n from ${sql(schema)}.${sql(name)}`;
      counts[`${schema}.${name}`] = row?.n ?? -1;
    }
    return counts;
  }

  it("answers as the live version, an old one, the draft, or what is stored nowhere would", async () => {
    const replies = await Promise.all(
      [{}, { version: "1" }, { draft: true }, { document: behaviour("Hello from nowhere.") }].map(
        (what) => dryRun({ text: "hello", ...what }),
      ),
    );
    expect(replies.map(({ record }) => [record.replyText, record.bundleVersion])).toEqual([
      ["Hello of two.", "2"],
      ["Hello of one.", "1"],
      ["Hello of the draft.", "0"],
      ["Hello from nowhere.", "0"],
    ]);
  });

  it("finds wrong in a document what saving it finds wrong", async () => {
    const document = behaviour("Hello {profile.nobody}");
    const { error } = await dryRun({ text: "hello", document });
    const saved = await post<DryRun>("/v1/agents:apply", { document });
    expect(error).toMatchObject({
      reason: "DRAFT_INVALID",
      fields: [{ field: "templates/greeting.text" }],
    });
    expect([error?.reason, error?.fields]).toEqual([saved.error?.reason, saved.error?.fields]);
    const missing = await dryRun({ text: "hello", version: "99" });
    expect(missing.error?.reason).toBe("VERSION_NOT_FOUND");
  });

  it("has no effect anywhere: no row in any table, and of tools only those that read", async () => {
    const opening = { url, token, body: { agent: "desk", message: "hello" } };
    expect((await chat(opening)).reply).toBe("Hello of two.");
    // What that turn sets going is over before anything is counted.
    let before: Record<string, number> = {};
    await expect
      .poll(
        async () => {
          const [waiting] = await sql<{ n: number }[]>`
            select count(*)::int as n from session.outbox where published_at is null`;
          const now = await rowsByTable();
          const isQuiet = waiting?.n === 0 && JSON.stringify(now) === JSON.stringify(before);
          before = now;
          return isQuiet;
        },
        { timeout: 20_000, interval: 250 },
      )
      .toBe(true);
    asked.length = 0;

    const [row] = await sql<{ id: string }[]>`select customer_id as id from session.sessions`;
    const customer = { customerId: row?.id ?? "" };
    const ordered = await dryRun({ text: "I want a lamp", customer });
    const calls = ordered.record.toolCalls?.map(({ name, outcome, reason = "" }) => [
      name,
      outcome.replace("TOOL_CALL_OUTCOME_", ""),
      reason,
    ]);
    expect(calls).toEqual(
      expect.arrayContaining([
        ["count", "REFUSED", "DRY_RUN"],
        ["look", "SUCCEEDED", ""],
        ["buy", "REFUSED", "DRY_RUN"],
        ["put", "REFUSED", "DRY_RUN"],
        ["remember", "SUCCEEDED", ""],
        ["leave", "SUCCEEDED", ""],
      ]),
    );
    const taxi = await dryRun({ text: "I want a taxi, ada@x.example", draft: true, customer });
    expect(taxi.record.navigation?.after).toBe("taxi/pick");
    await dryRun({ text: "hello", document: behaviour("Other {visits} words.") });
    await dryRun({ opening: true, customer: { externalId: "somebody-new" } });

    expect(asked).toEqual(["GET /look"]);
    expect(await rowsByTable()).toEqual(before);
  });

  it("goes on from the state of the one before", async () => {
    const first = await dryRun({ text: "I want a lamp" });
    expect(first.state).toMatchObject({ fields: { colour: "red" } });
    const taxi = await dryRun({ text: "I want a taxi", state: first.state });
    const next = await dryRun({
      text: "it is ada@x.example",
      state: taxi.state,
      history: [
        { number: 1, userText: "I want a lamp", replyText: "" },
        { number: 2, userText: "I want a taxi", replyText: taxi.record.replyText },
      ],
    });
    expect(next.state).toMatchObject({ fields: { colour: "red", email: "ada@x.example" } });
  });

  it("is told from a real turn, whose record knows the version that it ran on", async () => {
    const { turnId, reply } = await chat({ url, token, body: { agent: "desk", message: "hello" } });
    expect(reply).toBe("Hello of two.");
    const later = behaviour("Hello of three.");
    later.rules.push({ ...later.rules[0]!, name: "late", condition: "the customer is late" });
    await post("/v1/agents:apply", { document: later, publish: true });
    const whyNot = (rule: string) =>
      read<{ explanation?: string }>({ url, token }, `/v1/turns/${turnId}/why-not/${rule}`);
    await expect
      .poll(async () => (await whyNot("greet")).explanation, { timeout: 10_000 })
      .toMatch(/^greet applied in turn 1: /);
    expect((await whyNot("order")).explanation).toMatch(/^order was eliminated by /);
    await expect
      .poll(async () => (await whyNot("late")).explanation, { timeout: 10_000 })
      .toBe(
        "The rule late did not exist in version 2, which turn 1 ran on; version 3, which is live, has it.",
      );
  });
});
