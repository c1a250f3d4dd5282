import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { overridden } from "@soldier/chassis/settings";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { demoToken } from "../demo.ts";
import { startOneProcess } from "../one-process.ts";
import { chat, explained, settings, type Surroundings, surroundings } from "./desk.ts";

const order = {
  input_schema: {
    type: "object",
    required: ["order_id"],
    properties: { order_id: { type: "string" } },
  },
  arguments: { order_id: { pattern: "\\b(L-\\d+)\\b" } },
};

/** Cancels an order, which can't be taken back, and looks at it afterwards. */
const behaviour = {
  agent: { slug: "desk", name: "Desk", settings: { busy_policy: "BUSY_POLICY_SUPERSEDE" } },
  rules: [
    {
      name: "cancel",
      condition: "the customer wants to cancel an order",
      examples: ["cancel my order"],
      tool_ids: ["cancel", "look"],
      template_ids: ["cancelled", "trouble"],
    },
  ],
  templates: [
    { name: "cancelled", text: "It is cancelled: {results.cancel.number}." },
    { name: "trouble", text: "Something went wrong.", mode: "TEMPLATE_MODE_FALLBACK" },
  ],
  tools: [
    { ...order, name: "cancel", http: { method: "POST", url: "${example_backend}/cancel" } },
    { ...order, name: "look", http: { method: "GET", url: "${example_backend}/look" } },
  ],
};

type Answer = (res: ServerResponse) => void;
const json =
  (body: object): Answer =>
  (res) =>
    void res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));

/** The tool's own server, which counts what was done there. */
class Backend {
  cancelled: string[] = [];
  private answers = new Map<string, Answer>();
  private waiting = new Map<string, (res: ServerResponse) => void>();

  readonly server = createServer((req, res) => {
    const name = /^\/(\w+)/.exec(req.url ?? "")?.[1] ?? "";
    req.resume().once("end", () => {
      if (name === "cancel") this.cancelled.push(String(req.headers["idempotency-key"]));
      const number = `C-${this.cancelled.length}`;
      const held = this.waiting.get(name);
      if (held) held(res);
      else (this.answers.get(name) ?? json({ number }))(res);
    });
  });

  reset(): void {
    this.cancelled = [];
    this.waiting.clear();
  }

  /** The next request to it is not answered until the test says so. */
  held(name: string): Promise<ServerResponse> {
    return new Promise((resolve) =>
      this.waiting.set(name, (res) => {
        this.waiting.delete(name);
        resolve(res);
      }),
    );
  }
}

const patience = { timeout: 15_000 };

describe("what can't be taken back is done once", { timeout: 60_000 }, () => {
  const opened = new AsyncDisposableStack();
  const backend = new Backend();
  let around: Surroundings;
  let url: string;
  let token: string;
  let sql: Sql;
  beforeAll(async () => {
    backend.server.listen(0, "127.0.0.1");
    await once(backend.server, "listening");
    opened.defer(() => new Promise((resolve) => backend.server.close(() => resolve())));
    opened.defer(() => backend.server.closeAllConnections());
    around = await surroundings(opened);
    const test = {
      postgres: { url: around.link.url },
      server: { ports: { chat_gateway: 0 }, admin_ports: { together: 0 } },
      embedder: { provider: "deterministic" },
      alignment: { lease_ms: 1_000 }, // how long a turn that can't say so keeps its session
    };
    const running = opened.use(
      await startOneProcess({
        settings: overridden(settings, test, "the test"),
        directory: around.directory,
        // A server that listens on TCP has an address of this kind.
        backendUrl: `http://127.0.0.1:${(backend.server.address() as AddressInfo).port}`,
      }),
    );
    url = running.url ?? "";
    token = await demoToken(settings);
    sql = postgres(around.databaseUrl, { max: 1 });
    opened.defer(() => sql.end());
    const res = await fetch(`${url}/v1/agents:apply`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ document: behaviour, publish: true }),
    });
    if (!res.ok) throw new Error(await res.text());
  }, 60_000);
  afterAll(() => opened.disposeAsync());
  beforeEach(() => backend.reset());

  const cancel = { agent: "desk", message: "cancel my order L-17" };
  const say = (key: string, body: object = cancel) => chat({ url, token, body, key });

  /** The same, as a caller who may leave. */
  function leaving(key: string): { readonly leave: () => void; readonly gone: Promise<unknown> } {
    const controller = new AbortController();
    const gone = fetch(`${url}/v1/chat`, {
      method: "POST",
      signal: controller.signal,
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "idempotency-key": key,
      },
      body: JSON.stringify(cancel),
    }).catch(() => undefined); // it leaves
    return { leave: () => controller.abort(), gone };
  }

  /** Each call of the turn: the tool, how it ended, and why. */
  async function callsOf(turnId: string): Promise<readonly string[]> {
    const all: string[] = [];
    await expect
      .poll(async () => {
        const calls = (await explained({ url, token }, turnId))?.toolCalls ?? [];
        all.splice(0, all.length, ...calls.map((call) => spoken(call)));
        return all.length;
      }, patience)
      .toBeGreaterThan(0);
    return all;
  }

  function spoken(call: object): string {
    // The contract under test.
    const { name, outcome, reason } = call as { name: string; outcome: string; reason?: string };
    const how = outcome.replace("TOOL_CALL_OUTCOME_", "");
    return [name, how, reason].filter(Boolean).join(" ");
  }

  it("when the caller leaves after it was done, and asks again", async () => {
    const key = randomUUID();
    const looking = backend.held("look");
    const first = leaving(key);
    await looking; // it was cancelled and written down, and nothing is committed
    first.leave();
    await first.gone;
    const again = await retried(key);
    expect(again.reply).toBe("It is cancelled: C-1.");
    expect(backend.cancelled).toHaveLength(1);
    expect(await callsOf(again.turnId)).toEqual(["cancel REPLAYED", "look SUCCEEDED"]);
    expect(await say(key)).toMatchObject({ replayed: true, turnId: again.turnId });
  });

  it("when the database is lost before the commit", async () => {
    const key = randomUUID();
    const looking = backend.held("look");
    const first = say(key);
    const look = await looking;
    around.link.cut();
    json({})(look);
    expect((await first).status).toBeGreaterThanOrEqual(500);
    around.link.mend();
    const again = await retried(key);
    expect(again.reply).toBe("It is cancelled: C-1.");
    expect(backend.cancelled).toHaveLength(1);
  });

  it("when a newer message takes the turn's place", async () => {
    const opening = await say(randomUUID(), { agent: "desk", message: "hello" });
    const here = { message: cancel.message, sessionId: opening.sessionId };
    const looking = backend.held("look");
    const first = say(randomUUID(), here);
    await looking;
    const second = await say(randomUUID(), here);
    expect(second.reply).toBe("It is cancelled: C-1.");
    expect((await first).error?.reason).toBe("TURN_SUPERSEDED");
    expect(backend.cancelled).toHaveLength(1);
    expect((await callsOf(second.turnId))[0]).toBe("cancel REPLAYED");
  });

  it("when nobody knows yet whether it was done", async () => {
    const key = randomUUID();
    const cancelling = backend.held("cancel");
    const first = leaving(key);
    await cancelling;
    first.leave();
    await first.gone;
    const again = await retried(key);
    expect(again.reply).toBe("Something went wrong.");
    expect(backend.cancelled).toHaveLength(1);
    const [call] = await callsOf(again.turnId);
    expect(call).toBe("cancel REFUSED OUTCOME_UNKNOWN");
  });

  it("when it goes on after its caller has left, and ends before they ask again", async () => {
    const key = randomUUID();
    const cancelling = backend.held("cancel");
    const first = leaving(key);
    const running = await cancelling;
    first.leave();
    await first.gone;
    json({ number: "C-late" })(running);
    await expect
      .poll(async () => {
        const [row] = await sql<{ n: number }[]>`
          select count(*)::int as n from session.tool_calls
          where client_key = ${key} and ended_at is not null`;
        return row?.n;
      }, patience)
      .toBe(1);
    const again = await retried(key);
    expect(again.reply).toBe("It is cancelled: C-late.");
    expect(backend.cancelled).toHaveLength(1);
  });

  it("but again when it is asked for again", async () => {
    const first = await say(randomUUID());
    const second = await say(randomUUID(), {
      message: cancel.message,
      sessionId: first.sessionId,
    });
    expect(second.reply).toBe("It is cancelled: C-2.");
    expect(new Set(backend.cancelled).size).toBe(2);
  });

  /** Once the turn that was given up has given its session back. */
  async function retried(key: string) {
    let answer = await say(key);
    await expect
      .poll(async () => {
        if (answer.status !== 200) answer = await say(key);
        return answer.status;
      }, patience)
      .toBe(200);
    return answer;
  }
});
