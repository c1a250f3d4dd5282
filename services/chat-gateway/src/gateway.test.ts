import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { faultOf } from "@soldier/chassis/faults";
import { newId } from "@soldier/kernel/ids";
import type { ProcessTurnRequest } from "@soldier/proto/alignment/v1/alignment_service";
import { ChatService } from "@soldier/proto/chat/v1/chat_service";
import { Channel } from "@soldier/proto/common/v1/resource";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, missingId, openGateway, testSecret, tokenFor } from "./testing.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await openGateway({ limits: { requests_per_second: 10_000, burst: 10_000 } });
});
afterAll(() => gateway[Symbol.asyncDispose]());

interface Sent {
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

async function send(method: string, path: string, { token, body, headers }: Sent = {}) {
  return fetch(gateway.url + path, {
    method,
    headers: {
      authorization: `Bearer ${token ?? (await tokenFor())}`,
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
}

const chat = (body: unknown, sent: Sent = {}) => send("POST", "/v1/chat", { ...sent, body });

function lastTurn(): ProcessTurnRequest {
  const turn = gateway.reached.findLast(({ rpc }) => rpc === "AlignmentService/ProcessTurn");
  return turn?.request as ProcessTurnRequest;
}

describe("a message by REST", () => {
  it("is answered with the committed turn", async () => {
    const res = await chat({ agent: "shop", message: "hello" });
    expect(res.status).toBe(200);
    expect(res.headers.get("cache-control")).toBe("no-store");
    expect(await res.json()).toMatchObject({
      turnNumber: 1,
      reply: "You said: hello",
      outcome: "TURN_OUTCOME_COMPLETED",
      replySource: "REPLY_SOURCE_TEMPLATE",
      rules: ["greet"],
      replayed: false,
      traceId: res.headers.get("trace-id"),
    });
  });

  it("reaches the turn with the tenant and the customer of its token", async () => {
    const tenant = newId();
    await chat({ agent: "shop", message: "hello" }, { token: await tokenFor({ tenant }) });
    const { request, identity } = gateway.reached.at(-1)!;
    expect(identity).toEqual({ tenantId: tenant, subject: "ada", roles: ["chat"] });
    expect(request).toMatchObject({
      agent: "shop",
      text: "hello",
      channel: Channel.API,
      customer: { externalId: "ada" },
    });
  });

  it("may be for another customer, by the delegate role only", async () => {
    const body = { agent: "shop", message: "hello", customer: "grace", channel: "WHATSAPP" };
    const refused = await chat(body);
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ error: { reason: "ROLE_MISSING" } });

    const token = await tokenFor({ roles: ["chat", "delegate"] });
    expect((await chat(body, { token })).status).toBe(200);
    expect(lastTurn()).toMatchObject({
      customer: { externalId: "grace" },
      channel: Channel.WHATSAPP,
    });
  });

  it("takes its idempotency key from the body or from the header", async () => {
    await chat({ agent: "shop", message: "a" }, { headers: { "idempotency-key": "key-1" } });
    expect(lastTurn().idempotencyKey).toBe("key-1");
    await chat({ agent: "shop", message: "a", idempotencyKey: "key-2" });
    expect(lastTurn().idempotencyKey).toBe("key-2");
    const both = await chat(
      { agent: "shop", message: "a", idempotency_key: "key-3" },
      { headers: { "idempotency-key": "key-4" } },
    );
    expect(both.status).toBe(400);
    expect(await both.json()).toMatchObject({ error: { fields: [{ field: "idempotency_key" }] } });
  });

  it("belongs to the trace and has the request id that the caller says", async () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const res = await chat(
      { agent: "shop", message: "hello" },
      {
        headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, "x-request-id": "req-7" },
      },
    );
    expect(res.headers.get("trace-id")).toBe(traceId);
    expect(res.headers.get("x-request-id")).toBe("req-7");
    expect(await res.json()).toMatchObject({ traceId });
  });
});

describe("bad input by REST", () => {
  const message = { agent: "shop", message: "hello" };
  const cases: readonly [string, () => Promise<Response>, number, object][] = [
    [
      "malformed JSON",
      () => chat('{"agent": "shop",\n "message": hello}'),
      400,
      { reason: "INVALID_JSON", message: "the body is no JSON, at line 2, column 13" },
    ],
    [
      "a body that is no object",
      () => chat("[1]"),
      400,
      { reason: "INVALID_REQUEST", message: "the body: must be an object" },
    ],
    [
      "wrong types, all at once",
      () => chat({ agent: 7, message: ["x"], metadata: { a: 1 }, channel: "PIGEON" }),
      400,
      {
        code: "INVALID_ARGUMENT",
        reason: "INVALID_REQUEST",
        fields: [
          { field: "agent", description: "expected text, got 7" },
          { field: "message", description: "expected text, got a list" },
          { field: "metadata.a", description: "expected text, got 1" },
          { field: "channel" },
        ],
      },
    ],
    [
      "an unknown field",
      () => chat({ ...message, mesage: "x" }),
      400,
      {
        fields: [
          { field: "mesage", description: expect.stringContaining("did you mean message?") },
        ],
      },
    ],
    ["an empty message", () => chat({ agent: "shop" }), 400, { reason: "MESSAGE_EMPTY" }],
    [
      "a blank message",
      () => chat({ ...message, message: " \n" }),
      400,
      { reason: "MESSAGE_EMPTY" },
    ],
    [
      "an oversized message, in bytes",
      () => chat({ ...message, message: "é".repeat(16_385) }),
      413,
      { reason: "MESSAGE_TOO_LARGE", code: "INVALID_ARGUMENT" },
    ],
    [
      "a body over the limit",
      () => chat({ ...message, message: "x".repeat(4_194_305) }),
      413,
      { reason: "BODY_TOO_LARGE" },
    ],
    [
      "no agent and no session",
      () => chat({ message: "x" }),
      400,
      { fields: [{ field: "agent" }] },
    ],
    [
      "a rule of the contract broken",
      () => chat({ ...message, session_id: "no-uuid" }),
      400,
      { reason: "VALIDATION_FAILED", fields: [{ field: "session_id" }] },
    ],
    [
      "a message with a zero character",
      () => chat({ ...message, message: "a\0b" }),
      400,
      { fields: [{ field: "message" }] },
    ],
    [
      "a body of another type",
      () => chat("message=x", { headers: { "content-type": "application/x-www-form-urlencoded" } }),
      415,
      { reason: "MEDIA_TYPE_UNSUPPORTED" },
    ],
    ["an unknown path", () => send("GET", "/v1/chats"), 404, { reason: "PATH_NOT_FOUND" }],
    ["another verb", () => send("GET", "/v1/chat"), 405, { reason: "METHOD_NOT_ALLOWED" }],
    ["a path that is no text", () => send("GET", "/v1/sessions/%ff"), 400, {}],
    [
      "an unknown session",
      () => send("GET", `/v1/sessions/${missingId}`),
      404,
      { code: "NOT_FOUND", reason: "SESSION_NOT_FOUND" },
    ],
    [
      "an unknown parameter",
      () => send("GET", `/v1/sessions/${newId()}/turns?page_sise=3`),
      400,
      { fields: [{ field: "page_sise" }] },
    ],
    [
      "a parameter of the wrong type",
      () => send("GET", `/v1/sessions/${newId()}/turns?pageSize=many`),
      400,
      { fields: [{ field: "page_size" }] },
    ],
    ["a missing role", () => send("GET", "/v1/agents"), 403, { reason: "ROLE_MISSING" }],
    [
      "a full session",
      () => chat({ ...message, message: "fail:conflict" }),
      409,
      { code: "ABORTED", reason: "TOLD_TO_FAIL" },
    ],
    ["a bug", () => chat({ ...message, message: "fail:internal" }), 500, { code: "INTERNAL" }],
  ];

  it.each(cases)("%s is refused with one clear error", async (_, call, status, error) => {
    const res = await call();
    const body: unknown = await res.json();
    expect([res.status, body]).toEqual([status, { error: expect.objectContaining({}) }]);
    expect(body).toMatchObject({
      error: { ...error, traceId: expect.stringMatching(/^[0-9a-f]{32}$/) },
    });
  });

  it("says which verbs a path takes", async () => {
    const res = await send("PUT", `/v1/sessions/${newId()}`);
    expect([res.status, res.headers.get("allow")]).toEqual([405, "GET, DELETE"]);
  });

  it("says when to come back", async () => {
    const res = await chat({ agent: "shop", message: "fail:unavailable" });
    expect([res.status, res.headers.get("retry-after")]).toEqual([503, "2"]);
  });

  it("leaves the connection and the process in order", async () => {
    expect((await chat({ agent: "shop", message: "still there?" })).status).toBe(200);
  });
});

describe("a stream by REST", () => {
  async function stream(message: string, headers: Record<string, string> = {}) {
    return send("POST", "/v1/chat/stream", { body: { agent: "shop", message }, headers });
  }

  function events(
    text: string,
  ): readonly (readonly [string | undefined, string | undefined, unknown])[] {
    return text
      .trim()
      .split("\n\n")
      .map((part) => {
        const lines = new Map(
          part.split("\n").map((line) => line.split(/: (.*)/s, 2) as [string, string]),
        );
        return [lines.get("id"), lines.get("event"), JSON.parse(lines.get("data") ?? "null")];
      });
  }

  it("sends numbered events and ends with the committed turn", async () => {
    const res = await stream("hi there");
    expect(res.headers.get("content-type")).toContain("text/event-stream");
    expect(res.headers.get("cache-control")).toBe("no-store");
    const seen = events(await res.text());
    expect(seen.map(([id, name]) => [id, name])).toEqual([
      ["1", "started"],
      ["2", "delta"],
      ["3", "delta"],
      ["4", "delta"],
      ["5", "delta"],
      ["6", "completed"],
    ]);
    const text = seen.map(([, name, data]) =>
      name === "delta" ? (data as { text: string }).text : "",
    );
    expect(text.join("")).toBe("You said: hi there");
    expect(seen.at(-1)?.[2]).toMatchObject({ reply: "You said: hi there" });
  });

  it("is told by a status when it fails before it began", async () => {
    const res = await stream("fail:not-found");
    expect([res.status, await res.json()]).toMatchObject([404, { error: { code: "NOT_FOUND" } }]);
  });

  it("ends with an error event when it fails later", async () => {
    const seen = events(await (await stream("break")).text());
    expect(seen.map(([, name]) => name)).toEqual(["started", "delta", "error"]);
    expect(seen.at(-1)?.[2]).toMatchObject({ reason: "MODEL_UNAVAILABLE", code: "UNAVAILABLE" });
  });

  it("may be had as lines of JSON", async () => {
    const res = await stream("hi", { accept: "application/x-ndjson" });
    const lines = (await res.text())
      .trim()
      .split("\n")
      .map((line) => Object.keys(JSON.parse(line) as object));
    expect(lines).toEqual([["started"], ["delta"], ["delta"], ["delta"], ["completed"]]);
  });

  it("stops the turn when the client leaves", async () => {
    const before = gateway.cancelled.length;
    const leaving = new AbortController();
    const res = await fetch(`${gateway.url}/v1/chat/stream`, {
      method: "POST",
      signal: leaving.signal,
      headers: {
        authorization: `Bearer ${await tokenFor()}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ agent: "shop", message: "slow" }),
    });
    expect((await res.body?.getReader().read())?.done).toBe(false);
    leaving.abort();
    await expect.poll(() => gateway.cancelled.length).toBe(before + 1);
  });
});

describe("a silent stream", () => {
  it("says that it is still there", async () => {
    await using quiet = await openGateway({ heartbeat_ms: 20 });
    const leaving = new AbortController();
    const res = await fetch(`${quiet.url}/v1/chat/stream`, {
      method: "POST",
      signal: leaving.signal,
      headers: {
        authorization: `Bearer ${await tokenFor()}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ agent: "shop", message: "slow" }),
    });
    let seen = "";
    for await (const chunk of res.body!) {
      seen += new TextDecoder().decode(chunk as Uint8Array);
      if (seen.includes(": still here\n\n: still here\n\n")) break;
    }
    leaving.abort();
    expect(seen).toContain("event: started");
  });
});

describe.each([
  ["Connect", (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
])("%s", (name, transportTo) => {
  const client = () => createClient(ChatService, transportTo(gateway.url));
  const withToken = async (headers: Record<string, string> = {}) => ({
    headers: { authorization: `Bearer ${await tokenFor()}`, ...headers },
  });
  const failure = (call: Promise<unknown>) =>
    call.then(() => expect.fail("should have failed"), faultOf);

  it("answers a message", async () => {
    const reply = await client().sendMessage({ agent: "shop", message: "hi" }, await withToken());
    expect(reply.reply).toBe("You said: hi");
  });

  it("streams a message", async () => {
    const seen: (string | undefined)[] = [];
    const message = { agent: "shop", message: "hi" };
    for await (const { event } of client().sendMessageStream({ message }, await withToken()))
      seen.push(event.case);
    expect(seen).toEqual(["started", "delta", "delta", "delta", "completed"]);
  });

  it.runIf(name === "gRPC")("holds a conversation on one stream", async () => {
    async function* said() {
      yield { message: { agent: "shop", message: "one" } };
      yield { message: { message: "two" } };
    }
    const replies: [string, number][] = [];
    const sessions = new Set<string>();
    for await (const { event } of client().converse(said(), await withToken()))
      if (event.case === "completed") {
        replies.push([event.value.reply, event.value.turnNumber]);
        sessions.add(event.value.sessionId);
      }
    expect(replies).toEqual([
      ["You said: one", 1],
      ["You said: two", 2],
    ]);
    expect(sessions.size).toBe(1);
  });

  it("takes the idempotency key of the header", async () => {
    const options = await withToken({ "idempotency-key": "key-9" });
    await client().sendMessage({ agent: "shop", message: "hi" }, options);
    expect(lastTurn().idempotencyKey).toBe("key-9");
  });

  it("gives reasons for refusals", async () => {
    const call = client();
    const options = await withToken();
    const empty = await failure(call.sendMessage({ agent: "shop" }, options));
    expect([empty.kind, empty.reason]).toEqual(["invalid", "MESSAGE_EMPTY"]);
    const large = { agent: "shop", message: "x".repeat(32_769) };
    expect((await failure(call.sendMessage(large, options))).reason).toBe("MESSAGE_TOO_LARGE");
    const missing = await failure(call.sendMessage({ agent: "shop", message: "hi" }));
    expect([missing.kind, missing.reason]).toEqual(["unauthenticated", "TOKEN_MISSING"]);
    const failed = await failure(
      call.sendMessage({ agent: "shop", message: "fail:unavailable" }, options),
    );
    expect([failed.reason, failed.retryAfterMs]).toEqual(["TOLD_TO_FAIL", 1_500]);
  });

  it("offers what other services own, but not the mesh's own methods", async () => {
    const sessions = createClient(SessionService, transportTo(gateway.url));
    const sessionId = newId();
    const { session } = await sessions.getSession({ sessionId }, await withToken());
    expect([session?.id, session?.version]).toEqual([sessionId, 3n]);
    const inside = sessions.abortTurn({ lease: { sessionId } }, await withToken());
    expect((await failure(inside)).kind).toBe("unimplemented");
  });
});

describe("tokens", () => {
  const cases: readonly [string, () => Promise<string | undefined>, string][] = [
    ["no token", async () => undefined, "TOKEN_MISSING"],
    ["an expired token", () => tokenFor({ lifeSeconds: -60 }), "TOKEN_EXPIRED"],
    ["a forged token", () => tokenFor({ secret: "x".repeat(40) }), "TOKEN_INVALID"],
    ["another algorithm", () => tokenFor({ algorithm: "HS512" }), "TOKEN_INVALID"],
    ["another audience", () => tokenFor({ audience: "someone" }), "TOKEN_INVALID"],
    ["another issuer", () => tokenFor({ issuer: "someone" }), "TOKEN_INVALID"],
    ["no tenant", () => tokenFor({ tenant: "" }), "TOKEN_INVALID"],
    [
      "a token of later",
      () => tokenFor({ notBefore: new Date(Date.now() + 60_000) }),
      "TOKEN_INVALID",
    ],
    ["no token at all but text", async () => "let me in", "TOKEN_INVALID"],
  ];

  it.each(cases)("%s is refused with 401", async (_, make, reason) => {
    const token = await make();
    const res = await fetch(`${gateway.url}/v1/sessions/${newId()}`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    expect([res.status, await res.json()]).toMatchObject([401, { error: { reason } }]);
    expect(res.headers.get("www-authenticate")).toContain('Bearer realm="soldier"');
    expect(gateway.reached.every(({ identity }) => identity.tenantId !== "")).toBe(true);
  });

  it("are not asked for by the documents", async () => {
    for (const path of ["/", "/openapi.json"])
      expect((await fetch(gateway.url + path)).status).toBe(200);
    expect(testSecret.length).toBeGreaterThan(31);
  });
});

describe("limits of a tenant", () => {
  const limits = { requests_per_second: 0.001, burst: 2, turns_max: 1 };

  it("hold its rate of requests, whatever the protocol, and leave others alone", async () => {
    await using strict = await openGateway({ limits });
    const token = await tokenFor();
    const ask = (as: string) =>
      fetch(`${strict.url}/v1/sessions/${newId()}`, { headers: { authorization: `Bearer ${as}` } });
    expect((await ask(token)).status).toBe(200);
    const client = createClient(
      SessionService,
      createConnectTransport({ baseUrl: strict.url, httpVersion: "1.1" }),
    );
    await client.getSession(
      { sessionId: newId() },
      { headers: { authorization: `Bearer ${token}` } },
    );
    const refused = await ask(token);
    expect([refused.status, await refused.json()]).toMatchObject([
      429,
      { error: { reason: "RATE_LIMITED", code: "RESOURCE_EXHAUSTED" } },
    ]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(100);
    expect((await ask(await tokenFor())).status).toBe(200);
  });

  it("hold the number of its turns at a time", async () => {
    await using strict = await openGateway({ limits: { turns_max: 1 } });
    const tenant = newId();
    const turn = async (message: string, signal?: AbortSignal) =>
      fetch(`${strict.url}/v1/chat/stream`, {
        method: "POST",
        ...(signal && { signal }),
        headers: {
          authorization: `Bearer ${await tokenFor({ tenant })}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({ agent: "shop", message }),
      });
    const leaving = new AbortController();
    await turn("slow", leaving.signal);
    const refused = await turn("hi");
    expect([refused.status, await refused.json()]).toMatchObject([
      429,
      { error: { reason: "RATE_LIMITED" } },
    ]);
    leaving.abort();
    await expect.poll(() => strict.cancelled.length).toBe(1);
    const free = await turn("hi");
    expect(free.status).toBe(200);
    expect(await free.text()).toContain("You said: hi");
  });
});

describe("pages of other origins", () => {
  const preflight = (url: string, origin: string) =>
    fetch(`${url}/v1/chat`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });

  it("may not call unless they are on the list", async () => {
    expect((await preflight(gateway.url, "https://shop.example")).status).toBe(405);
    await using open = await openGateway({ allowed_origins: ["https://shop.example"] });
    const allowed = await preflight(open.url, "https://shop.example");
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://shop.example");
    const other = await preflight(open.url, "https://other.example");
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
  });
});
