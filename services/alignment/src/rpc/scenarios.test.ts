import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { json, order, ToolServer } from "../testing-tools.ts";

const tool = new ToolServer();
beforeAll(() => tool.listen());
afterAll(() => tool[Symbol.asyncDispose]());
beforeEach(() => tool.reset(json({ status: "packed", eta: "Friday" })));

describe("a scenario with tools", () => {
  const scenario = {
    name: "return",
    entryCondition: "the customer wants to return something",
    entryExamples: ["I want to return something"],
    steps: [
      {
        id: "ask",
        collects: ["order_id"],
        skippable: true,
        templateIds: ["ask"],
        transitions: [{ toStepId: "look", guard: "has(fields.order_id)" }],
      },
      {
        id: "look",
        toolIds: ["find-order"],
        templateIds: ["unknown"],
        transitions: [
          {
            toStepId: "offer",
            guard: "has(results['find-order'].status) && results['find-order'].status == 'packed'",
          },
          {
            toStepId: "late",
            guard: "has(results['find-order'].status) && results['find-order'].status == 'old'",
          },
        ],
      },
      {
        id: "offer",
        templateIds: ["offer"],
        transitions: [
          { toStepId: "done", condition: "the customer agrees", examples: ["yes", "yes please"] },
          { toStepId: "no", condition: "the customer declines", examples: ["no", "no thanks"] },
        ],
      },
      { id: "late", terminal: true, templateIds: ["late"] },
      { id: "done", terminal: true, templateIds: ["done"] },
      { id: "no", terminal: true, templateIds: ["no"] },
    ],
  };
  const returns = {
    scenarios: [scenario],
    fieldDefinitions: [
      { name: "order_id", extractionPattern: "\\b(L-\\d+)\\b", collectionPrompt: "Which order?" },
    ],
    tools: [{ ...order, arguments: { order_id: { from: "fields.order_id" } } }],
    rules: [
      {
        name: "hours",
        condition: "asks for opening hours",
        examples: ["when do you open"],
        templateIds: ["hours"],
      },
    ],
    templates: [
      { name: "ask", text: "Gladly. Which order is it?" },
      { name: "unknown", text: "I don't know order {fields.order_id}." },
      { name: "offer", text: "Order {fields.order_id} is {status}. Shall I?" },
      { name: "late", text: "Too late.", mode: "TEMPLATE_MODE_EXCLUSIVE" },
      { name: "done", text: "Done.", mode: "TEMPLATE_MODE_EXCLUSIVE" },
      { name: "no", text: "As you like." },
      { name: "hours", text: "From 9 to 17." },
    ],
  };

  it("does not tell the customer what a step is for while the step's tool has failed", async () => {
    const steps = scenario.steps.map((step) =>
      step.id === "look" ? { ...step, templateIds: ["away"], instructions: "Look it up." } : step,
    );
    const away = { name: "away", text: "I can't see orders now.", mode: "TEMPLATE_MODE_FALLBACK" };
    const desk = await tool.start({
      ...returns,
      scenarios: [{ ...scenario, steps }],
      templates: [...returns.templates, away],
    });
    tool.answer = json({}, 503);
    const { reply } = await desk.say("I want to return something, L-17");
    expect(reply).toBe("I can't see orders now.");
    expect(desk.peers.record.reply).toMatchObject({
      source: "fallback",
      fallbackReason: "no result of find-order",
    });
  });

  it("runs its course: asks, looks up, forks on the answer, and ends", async () => {
    const desk = await tool.start(returns);
    const first = await desk.say("I want to return something");
    expect(first.reply).toBe("Gladly. Which order is it?");
    expect(first.completed.position).toMatchObject({ scenarioId: "return", stepId: "ask" });
    const { sessionId } = first;
    expect((await desk.say("it is L-5", { sessionId })).reply).toBe(
      "Order L-5 is packed. Shall I?",
    );
    expect(desk.peers.record.navigation).toMatchObject({
      before: "return/ask",
      after: "return/offer",
    });
    expect(desk.peers.commits.at(-1)?.extractedFields).toMatchObject([{ name: "order_id" }]);
    expect((await desk.say("yes please", { sessionId })).reply).toBe("Done.");
    const last = await desk.say("zyx", { sessionId });
    expect(last.completed.position).toBeUndefined();
  });
  it("goes through steps whose data the customer gave at once", async () => {
    const desk = await tool.start(returns);
    tool.answer = json({ status: "old" });
    const { reply, completed } = await desk.say("I want to return something, order L-5");
    expect(reply).toBe("Too late.");
    expect(completed.position?.stepId).toBe("late");
    expect(desk.peers.commits[0]?.state?.visits.map(({ stepId }) => stepId)).toEqual([
      "ask",
      "look",
      "late",
    ]);
  });
  it("stays at the step until its tool knows, and asks the tool again about another number", async () => {
    const desk = await tool.start(returns);
    tool.answer = json({ status: "unknown" });
    const { reply, sessionId } = await desk.say("I want to return something, order L-5");
    expect(reply).toBe("I don't know order L-5.");
    tool.answer = json({ status: "packed" });
    expect((await desk.say("sorry, L-6", { sessionId })).reply).toBe(
      "Order L-6 is packed. Shall I?",
    );
    expect(tool.asked.map(({ url }) => url)).toEqual(["/orders/L-5", "/orders/L-6"]);
  });
  it("answers a question in between and asks its own again", async () => {
    const desk = await tool.start(returns);
    const { sessionId } = await desk.say("I want to return something");
    const { reply, completed } = await desk.say("when do you open?", { sessionId });
    expect(reply).toBe("From 9 to 17.\n\nWhich order?");
    expect(completed.position?.stepId).toBe("ask");
  });
  it("begins again without what its last run has collected, but for what is said now", async () => {
    const desk = await tool.start(returns);
    const { sessionId } = await desk.say("I want to return something, order L-5");
    await desk.say("yes please", { sessionId });
    const again = await desk.say("I want to return something", { sessionId });
    expect(again.reply).toBe("Gladly. Which order is it?");
    expect(again.completed.position?.stepId).toBe("ask");
    expect(desk.peers.commits.at(-1)?.state?.fields).toEqual({});
    expect((await desk.say("it is L-6", { sessionId })).reply).toBe(
      "Order L-6 is packed. Shall I?",
    );
    await desk.say("no thanks", { sessionId });
    const third = await desk.say("I want to return something, order L-7", { sessionId });
    expect(third.reply).toBe("Order L-7 is packed. Shall I?");
    expect(tool.asked.map(({ url }) => url)).toEqual(["/orders/L-5", "/orders/L-6", "/orders/L-7"]);
  });
  it("is left on the customer's word", async () => {
    const desk = await tool.start(returns);
    const { sessionId } = await desk.say("I want to return something");
    const { completed } = await desk.say("never mind", { sessionId });
    expect(completed.position).toBeUndefined();
    expect(desk.peers.record.navigation?.reason).toBe("the customer wants to leave it");
  });
  it("keeps its place in a new version by the step's id, and leaves when the step is gone", async () => {
    const desk = await tool.start(returns);
    const { sessionId } = await desk.say("I want to return something");
    const session = desk.peers.sessions.get(sessionId);
    if (session?.state?.position) session.state.position.scenarioVersion = 0n;
    const kept = await desk.say("hm", { sessionId });
    expect(kept.completed.position?.stepId).toBe("ask");
    const after = desk.peers.sessions.get(sessionId);
    if (after?.state?.position) after.state.position.stepId = "gone";
    await desk.say("hm", { sessionId });
    expect(desk.peers.record.navigation?.reason).toContain("has no step gone any more");
  });
});
