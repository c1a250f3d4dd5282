import { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import { SessionStatus } from "@soldier/proto/session/v1/session";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { jsonOf } from "../domain/json.ts";
import type { TurnUnderTest } from "../testing.ts";
import { json, order, ToolServer } from "../testing-tools.ts";

const tool = new ToolServer();
beforeAll(() => tool.listen());
afterAll(() => tool[Symbol.asyncDispose]());
beforeEach(() => tool.reset(json({ status: "packed", eta: "Friday" })));

const shop = {
  rules: [
    {
      name: "track",
      condition: "the customer asks where the order is",
      examples: ["where is my order"],
      toolIds: ["find-order"],
      templateIds: ["order-status", "order-trouble"],
    },
  ],
  tools: [order],
  templates: [
    { name: "order-status", text: "It is {status}, due {results.find-order.eta}." },
    { name: "order-trouble", text: "I can't see orders now.", mode: "TEMPLATE_MODE_FALLBACK" },
  ],
};

const reasonOf = (desk: TurnUnderTest, template: string) =>
  desk.peers.record.templates.find(({ name }) => name === template)?.reason;

describe("a tool", () => {
  it("runs for the rule that names it, and its answer is said", async () => {
    const desk = await tool.start(shop);
    const { reply, completed } = await desk.say("where is my order L-17?");
    expect(reply).toBe("It is packed, due Friday.");
    const turnId = completed.turn?.id;
    expect(tool.asked).toMatchObject([
      {
        method: "GET",
        url: "/orders/L-17",
        headers: { authorization: "Bearer s3cret", "idempotency-key": `${turnId}:find-order:1` },
      },
    ]);
    expect(desk.peers.record.toolCalls[0]).toMatchObject({
      name: "find-order",
      requestedBy: "rule:track",
      outcome: ToolCallOutcome.SUCCEEDED,
      attempts: 1,
    });
    expect(JSON.stringify(desk.peers.record.toolCalls[0]?.arguments)).toBe('{"order_id":"L-17"}');
    const kept = desk.peers.commits[0]?.state?.toolResults["find-order"];
    expect(jsonOf(kept)).toEqual({ status: "packed", eta: "Friday" });
  });

  it("asks for what it lacks instead of running, and runs with the answer", async () => {
    const desk = await tool.start(shop);
    const { reply, sessionId } = await desk.say("where is my order?");
    expect(reply).toBe("Which order number?");
    expect(tool.asked).toEqual([]);
    expect(desk.peers.record.toolCalls[0]).toMatchObject({
      outcome: ToolCallOutcome.MISSING_ARGUMENTS,
      missingArguments: ["order_id"],
    });
    const second = await desk.say("it's L-17", { sessionId });
    expect(second.reply).toBe("It is packed, due Friday.");
    expect(desk.peers.record.rules[0]?.reason).toBe("the customer gives its order_id");
    expect(desk.peers.commits.at(-1)?.state?.awaited).toBeUndefined();
  });

  it("finds an argument in what the customer said before, the latest first", async () => {
    const desk = await tool.start(shop);
    const { sessionId } = await desk.say("I ordered L-1 and then L-2 came");
    await desk.say("my number is L-3", { sessionId });
    await desk.say("where is my order", { sessionId });
    expect(tool.asked.at(-1)?.url).toBe("/orders/L-3");
  });

  it("reports an argument that breaks its schema, and asks again rather than guess", async () => {
    const desk = await tool.start(shop);
    const { reply } = await desk.say("where is my order Lamp?");
    expect(reply).toBe("That does not look right for the order id. Which order number?");
    expect(tool.asked).toEqual([]);
    expect(desk.peers.record.toolCalls[0]).toMatchObject({
      outcome: ToolCallOutcome.INVALID_ARGUMENTS,
      reason: expect.stringContaining("order_id"),
    });
  });

  it("that fails never fails the turn: its rule's fallback is said", async () => {
    const desk = await tool.start(shop);
    tool.answer = json({}, 404);
    expect((await desk.say("where is my order L-17?")).reply).toBe("I can't see orders now.");
    expect(desk.peers.record.toolCalls[0]).toMatchObject({
      outcome: ToolCallOutcome.FAILED,
      reason: "HTTP_404",
      attempts: 1,
    });
    expect(reasonOf(desk, "order-status")).toContain("unresolved");
  });

  it("is tried again when that is harmless, under the same key", async () => {
    const desk = await tool.start({ ...shop, tools: [{ ...order, retriesMax: 2 }] });
    tool.answer = (res) =>
      json({ status: "packed", eta: "Friday" }, tool.asked.length < 3 ? 503 : 200)(res);
    expect((await desk.say("where is my order L-17?")).reply).toBe("It is packed, due Friday.");
    expect(new Set(tool.asked.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
    expect(desk.peers.record.toolCalls[0]?.attempts).toBe(3);
  });

  it("is not tried again when once may be too often", async () => {
    const desk = await tool.start({
      ...shop,
      tools: [{ ...order, idempotent: false, retriesMax: 2 }],
    });
    tool.answer = json({}, 503);
    await desk.say("where is my order L-17?");
    expect(tool.asked).toHaveLength(1);
  });

  it("is given up after its time", async () => {
    const desk = await tool.start({ ...shop, tools: [{ ...order, timeout: "0.05s" }] });
    tool.answer = () => {};
    await desk.say("where is my order L-17?");
    expect(desk.peers.record.toolCalls[0]?.reason).toBe("TOOL_TIMEOUT");
  });

  it("whose answer breaks its schema has said nothing", async () => {
    const desk = await tool.start(shop);
    tool.answer = json({ state: "packed" });
    expect((await desk.say("where is my order L-17?")).reply).toBe("I can't see orders now.");
    expect(desk.peers.record.toolCalls[0]?.outcome).toBe(ToolCallOutcome.INVALID_RESULT);
  });

  it("never reaches a private address that is not allowed, not even by a redirect", async () => {
    const closed = await tool.start(shop, []);
    await closed.say("where is my order L-17?");
    expect(tool.asked).toEqual([]);
    expect(closed.peers.record.toolCalls[0]).toMatchObject({
      outcome: ToolCallOutcome.REFUSED,
      reason: "EGRESS_REFUSED",
    });

    const open = await tool.start(shop);
    tool.answer = (res) => {
      res.writeHead(302, { location: "http://169.254.169.254/latest/meta-data" });
      res.end();
    };
    await open.say("where is my order L-17?");
    expect(open.peers.record.toolCalls[0]?.reason).toBe("EGRESS_REFUSED");
  });

  it("that has not succeeded leaves no room for words that say it has", async () => {
    const desk = await tool.start({
      ...shop,
      tools: [{ ...order, http: { ...order.http, method: "POST" } }],
      templates: [
        { name: "order-status", text: "Your order is cancelled." },
        ...shop.templates.slice(1),
      ],
    });
    tool.answer = json({}, 500);
    expect((await desk.say("where is my order L-17?")).reply).toBe("I can't see orders now.");
    expect(reasonOf(desk, "order-status")).toBe("its tool has not succeeded: find-order");
  });

  it("lets rules be judged again after its result", async () => {
    const again = { reevaluateAfterToolIds: ["find-order"] };
    const desk = await tool.start({
      ...shop,
      rules: [
        ...shop.rules,
        {
          ...again,
          name: "late",
          condition: "where is my order",
          guard: "has(results['find-order'].late)",
          templateIds: ["late"],
        },
      ],
      templates: [...shop.templates, { name: "late", text: "I am sorry for the delay." }],
    });
    tool.answer = json({ status: "lost", eta: "never", late: true });
    const { reply } = await desk.say("where is my order L-17?");
    expect(reply).toContain("I am sorry for the delay.");
    expect(desk.peers.record.rules.find(({ name }) => name === "late")).toMatchObject({
      applied: true,
      reason: "its guard is true after a tool's result",
    });
  });

  it("is given up when the turn's own time is over, and the turn still answers", async () => {
    const behaviour = { ...shop, agent: { settings: { turnTimeout: "0.2s" } } };
    const desk = await tool.start(behaviour);
    tool.answer = () => {};
    expect((await desk.say("where is my order L-17?")).reply).toBe("I can't see orders now.");
    expect(desk.peers.record.toolCalls[0]?.outcome).toBe(ToolCallOutcome.FAILED);
  });

  it("can hand the conversation to a person", async () => {
    const desk = await tool.start({
      rules: [
        {
          name: "human",
          condition: "wants to talk to a human",
          examples: ["a human please"],
          toolIds: ["hand-off"],
          templateIds: ["bye"],
        },
      ],
      tools: [{ name: "hand-off", builtin: { name: "hand_off" } }],
      templates: [{ name: "bye", text: "A colleague will be with you." }],
    });
    expect((await desk.say("a human please")).reply).toBe("A colleague will be with you.");
    expect(desk.peers.commits[0]?.status).toBe(SessionStatus.INTERRUPTED);
  });

  it("keeps private arguments out of the record", async () => {
    const desk = await tool.start({
      ...shop,
      fieldDefinitions: [{ name: "order_id", pii: true }],
    });
    await desk.say("where is my order L-17?");
    expect(tool.asked[0]?.url).toBe("/orders/L-17");
    expect(JSON.stringify(desk.peers.record.toolCalls[0]?.arguments)).not.toContain("L-17");
  });
});
