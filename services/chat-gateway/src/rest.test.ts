import { newId } from "@soldier/kernel/ids";
import type { ProcessTurnRequest } from "@soldier/proto/alignment/v1/alignment_service";
import { Channel } from "@soldier/proto/common/v1/resource";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Gateway,
  missingId,
  openGateway,
  send,
  type Sent,
  tokenFor,
  unlimited,
} from "./testing.ts";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await openGateway({ settings: unlimited });
});
afterAll(() => gateway[Symbol.asyncDispose]());

const chat = (body: unknown, sent: Sent = {}) =>
  send(gateway, "POST", "/v1/chat", { ...sent, body });

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

  it("is no message when the agent is to speak first, which it does or is silent", async () => {
    const res = await chat({ agent: "shop", opening: true });
    expect(await res.json()).toMatchObject({ reply: "Welcome!", turnNumber: 1 });
    expect(lastTurn()).toMatchObject({ opening: true, text: "" });
    const silent = await chat({ agent: "mute", opening: true });
    expect([silent.status, await silent.json()]).toMatchObject([
      200,
      {
        reply: "",
        outcome: "TURN_OUTCOME_SILENT",
        replySource: "REPLY_SOURCE_UNSPECIFIED",
        rules: [],
      },
    ]);
    const both = await chat({ agent: "shop", message: "hi", opening: true });
    expect([both.status, await both.json()]).toMatchObject([
      400,
      { error: { reason: "OPENING_WITH_MESSAGE", fields: [{ field: "message" }] } },
    ]);
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
      () => chat({ ...message, message: "x".repeat(16_777_217) }),
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
    ["an unknown path", () => send(gateway, "GET", "/v1/chats"), 404, { reason: "PATH_NOT_FOUND" }],
    [
      "a path that could be another host's",
      () => send(gateway, "GET", `//elsewhere.example/v1/sessions/${newId()}`),
      404,
      { reason: "PATH_NOT_FOUND" },
    ],
    ["another verb", () => send(gateway, "GET", "/v1/chat"), 405, { reason: "METHOD_NOT_ALLOWED" }],
    ["a path that is no text", () => send(gateway, "GET", "/v1/sessions/%ff"), 400, {}],
    [
      "an unknown session",
      () => send(gateway, "GET", `/v1/sessions/${missingId}`),
      404,
      { code: "NOT_FOUND", reason: "SESSION_NOT_FOUND" },
    ],
    [
      "an unknown parameter",
      () => send(gateway, "GET", `/v1/sessions/${newId()}/turns?page_sise=3`),
      400,
      { fields: [{ field: "page_sise" }] },
    ],
    [
      "a parameter of the wrong type",
      () => send(gateway, "GET", `/v1/sessions/${newId()}/turns?pageSize=many`),
      400,
      { fields: [{ field: "page_size" }] },
    ],
    ["a missing role", () => send(gateway, "GET", "/v1/agents"), 403, { reason: "ROLE_MISSING" }],
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
    const res = await send(gateway, "PUT", `/v1/sessions/${newId()}`);
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
