import { Fault } from "@soldier/kernel/fault";
import { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { JsonRecord } from "../domain/json.ts";
import type { TurnUnderTest } from "../testing.ts";
import { json, order, ToolServer } from "../testing-tools.ts";
import { type McpEndpoint, mcpEndpoint } from "../tools/testing-mcp.ts";
import { type GrpcEndpoint, grpcEndpoint } from "../tools/testing-rpc.ts";

const server = new ToolServer();
beforeAll(() => server.listen());
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => server.reset(json({ status: "cancelled" })));

const cancel = {
  ...order,
  idempotent: false,
  retriesMax: 3,
  http: { method: "POST", url: "${shop}/orders/{order_id}/cancel", headers: {} },
};
const desk = (tool: JsonRecord = cancel) => ({
  rules: [
    {
      name: "cancel",
      condition: "the customer cancels an order",
      examples: ["cancel my order"],
      toolIds: ["find-order"],
      templateIds: ["done", "trouble"],
    },
  ],
  tools: [tool],
  templates: [
    { name: "done", text: "It is {results.find-order.status}." },
    { name: "trouble", text: "I could not do that.", mode: "TEMPLATE_MODE_FALLBACK" },
  ],
});
const message = "cancel my order L-17";
const recorded = (made: TurnUnderTest) => made.peers.record.toolCalls[0];
const ledgerCalls = ({ peers }: TurnUnderTest) =>
  (peers.calls.get("beginToolCall") ?? 0) + (peers.calls.get("endToolCall") ?? 0);

describe("a tool with an effect", () => {
  it("is asked about before, and told of after", async () => {
    const made = await server.start(desk());
    expect((await made.say(message)).reply).toBe("It is cancelled.");
    expect(ledgerCalls(made)).toBe(2);
    expect(recorded(made)).toMatchObject({ outcome: ToolCallOutcome.SUCCEEDED, attempts: 1 });
  });

  it.each([
    ["only reads", { ...cancel, http: { ...order.http } }],
    ["may be repeated", { ...cancel, idempotent: true }],
  ])("is nobody's business when it %s", async (_, tool) => {
    const made = await server.start(desk(tool));
    expect((await made.say(message)).reply).toBe("It is cancelled.");
    expect(ledgerCalls(made)).toBe(0);
  });

  it("whose turn is lost is done once, and its result is used", async () => {
    const made = await server.start(desk());
    const { sessionId } = await made.say("hello");
    const lost = new Fault("internal", "lost", { reason: "LOST" });
    made.peers.broken.set("commitTurn", lost);
    await expect(made.say(message, { sessionId })).rejects.toThrow("lost");
    made.peers.broken.delete("commitTurn");
    expect((await made.say(message, { sessionId })).reply).toBe("It is cancelled.");
    expect(server.asked).toHaveLength(1);
    expect(recorded(made)).toMatchObject({
      outcome: ToolCallOutcome.REPLAYED,
      attempts: 0,
      idempotencyKey: server.asked[0]?.headers["idempotency-key"],
    });
  });

  it("that does not answer in time may have been done: it is not done again", async () => {
    const made = await server.start(desk({ ...cancel, timeout: "0.1s" }));
    const { sessionId } = await made.say("hello");
    server.answer = () => {};
    made.peers.broken.set("commitTurn", new Fault("internal", "lost"));
    await expect(made.say(message, { sessionId })).rejects.toThrow("lost");
    made.peers.broken.delete("commitTurn");
    expect((await made.say(message, { sessionId })).reply).toBe("I could not do that.");
    expect(server.asked).toHaveLength(1);
    const reason = "OUTCOME_UNKNOWN";
    expect(recorded(made)).toMatchObject({ outcome: ToolCallOutcome.REFUSED, reason });
  });

  it.each<[what: string, tool: JsonRecord, answer: typeof server.answer, reason: string]>([
    ["is slow", { timeout: "0.1s" }, () => {}, "TIMEOUT_OUTCOME_UNKNOWN"],
    ["breaks off", {}, (res) => res.destroy(), "CONNECTION_LOST_OUTCOME_UNKNOWN"],
    ["is lost behind a gateway", {}, json({}, 504), "HTTP_504_OUTCOME_UNKNOWN"],
    ["says no", {}, json({}, 409), "HTTP_409"],
    ["says that it failed", {}, json({}, 500), "HTTP_500"],
  ])("that %s is not tried again, whatever its retries", async (_, tool, answer, reason) => {
    const made = await server.start(desk({ ...cancel, ...tool }));
    server.answer = answer;
    await made.say(message);
    expect(server.asked).toHaveLength(1);
    expect(recorded(made)).toMatchObject({ outcome: ToolCallOutcome.FAILED, reason });
    const isKnown = !reason.endsWith("OUTCOME_UNKNOWN");
    expect(made.peers.calls.get("endToolCall") ?? 0).toBe(isKnown ? 1 : 0);
  });

  it("that was done, but answered badly, is not done again", async () => {
    const made = await server.start(desk());
    const { sessionId } = await made.say("hello");
    server.answer = json({ state: "cancelled" });
    made.peers.broken.set("commitTurn", new Fault("internal", "lost"));
    await expect(made.say(message, { sessionId })).rejects.toThrow("lost");
    made.peers.broken.delete("commitTurn");
    await made.say(message, { sessionId });
    expect(server.asked).toHaveLength(1);
    expect(recorded(made)).toMatchObject({ outcome: ToolCallOutcome.INVALID_RESULT, attempts: 0 });
  });

  it("is not done when nobody can write it down, and the turn still answers", async () => {
    const made = await server.start(desk());
    made.peers.broken.set("beginToolCall", new Fault("internal", "broken", { reason: "BROKEN" }));
    expect((await made.say(message)).reply).toBe("I could not do that.");
    expect(server.asked).toEqual([]);
    const reason = "LEDGER_UNAVAILABLE: BROKEN";
    expect(recorded(made)).toMatchObject({ outcome: ToolCallOutcome.REFUSED, reason });
  });

  it.each([
    ["has a type that there is not", { type: "objekt" }],
    ["leads nowhere", { $ref: "#/nowhere" }],
    ["has a pattern that could take for ever", { properties: { a: { pattern: "(?=a)(a+)+$" } } }],
  ])("is not done when the schema of its answer %s", async (_, outputSchema) => {
    const made = await server.start(desk({ ...cancel, outputSchema }));
    expect((await made.say(message)).reply).toBe("I could not do that.");
    expect(server.asked).toEqual([]);
    expect(recorded(made)).toMatchObject({
      outcome: ToolCallOutcome.REFUSED,
      reason: expect.stringContaining("TOOL_SCHEMA_INVALID"),
    });
  });

  it("is not done by a turn that has lost its session", async () => {
    const made = await server.start(desk());
    const lost = new Fault("conflict", "lost", { reason: "LEASE_LOST" });
    made.peers.broken.set("beginToolCall", lost);
    await expect(made.say(message)).rejects.toMatchObject({ reason: "LEASE_LOST" });
    expect(server.asked).toEqual([]);
    expect(made.peers.commits).toEqual([]);
  });

  it("that ended unheard by the ledger does not fail its turn", async () => {
    const made = await server.start(desk());
    made.peers.broken.set("endToolCall", new Fault("internal", "broken"));
    expect((await made.say(message)).reply).toBe("It is cancelled.");
  });
});

describe("patience with a tool that may be repeated", () => {
  const patient = { ...cancel, idempotent: true, retriesMax: 2 };
  const busy =
    (retryAfter: string): typeof server.answer =>
    (res) => {
      if (server.asked.length > 1) return json({ status: "cancelled" })(res);
      res.writeHead(429, { "retry-after": retryAfter }).end();
    };

  it("lasts as long as it asks for", async () => {
    const made = await server.start(desk(patient));
    server.answer = busy("1");
    const startedMs = performance.now();
    expect((await made.say(message)).reply).toBe("It is cancelled.");
    expect(performance.now() - startedMs).toBeGreaterThan(950);
    expect(recorded(made)?.attempts).toBe(2);
  });

  it("ends where it asks for more than an attempt may take", async () => {
    const made = await server.start(desk({ ...patient, timeout: "5s" }));
    server.answer = busy("60");
    await made.say(message);
    expect(recorded(made)).toMatchObject({ reason: "HTTP_429", attempts: 1 });
  });

  it.each([400, 401, 404, 409, 422])("is not had with a refusal: %i", async (status) => {
    const made = await server.start(desk(patient));
    server.answer = json({}, status);
    await made.say(message);
    expect(recorded(made)).toMatchObject({ reason: `HTTP_${status}`, attempts: 1 });
  });
});

describe("tools of other kinds", () => {
  let grpc: GrpcEndpoint;
  let mcp: McpEndpoint;
  beforeEach(async () => {
    const content = [{ type: "text" as const, text: '{"status":"cancelled"}' }];
    grpc = await grpcEndpoint(async () => ({ status: "cancelled" }));
    mcp = await mcpEndpoint(async () => ({ content }));
  });
  afterEach(async () => {
    await grpc[Symbol.asyncDispose]();
    await mcp[Symbol.asyncDispose]();
  });

  it.each([
    [
      "gRPC",
      () => ({ rpc: { address: grpc.host, method: "shop.v1.Orders/CancelOrder" } }),
      () => grpc,
    ],
    ["MCP", () => ({ mcp: { url: `http://${mcp.host}/mcp`, tool: "cancel_order" } }), () => mcp],
  ])("work in a turn, once, with their key: %s", async (_, kind, endpoint) => {
    const { http: __, ...rest } = cancel;
    const allowed = [server.host, grpc.host, mcp.host];
    const made = await server.start(desk({ ...rest, ...kind() }), allowed);
    const { sessionId } = await made.say("hello");
    made.peers.broken.set("commitTurn", new Fault("internal", "lost"));
    await expect(made.say(message, { sessionId })).rejects.toThrow("lost");
    made.peers.broken.delete("commitTurn");
    expect((await made.say(message, { sessionId })).reply).toBe("It is cancelled.");
    const { asked } = endpoint();
    expect(asked).toHaveLength(1);
    expect(recorded(made)).toMatchObject({
      outcome: ToolCallOutcome.REPLAYED,
      idempotencyKey: asked[0]?.key,
    });
  });
});
