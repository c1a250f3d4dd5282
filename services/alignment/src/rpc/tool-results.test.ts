import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { json, ToolServer } from "../testing-tools.ts";

const server = new ToolServer();
beforeAll(() => server.listen());
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => server.reset(json({ time: "18:03" })));

const turnOnly = { resultLifespan: "RESULT_LIFESPAN_TURN" };
const now = { name: "now", http: { method: "GET", url: "${shop}/now" } };
const asks = {
  name: "time",
  condition: "the customer asks for the time",
  examples: ["what time is it"],
  toolIds: ["now"],
  templateIds: ["time"],
};
const clock = (more: object = {}) => ({
  rules: [asks],
  tools: [{ ...now, ...more }],
  templates: [{ name: "time", text: "It is {time}." }],
});

describe("a result that is for its turn only", () => {
  it("is said, and is gone with the turn", async () => {
    const desk = await server.start(clock(turnOnly));
    expect((await desk.say("what time is it?")).reply).toBe("It is 18:03.");
    expect(desk.peers.commits[0]?.state?.toolResults).toEqual({});
    expect(desk.peers.record.toolCalls[0]?.kept).toBe(false);
  });
  it("unlike another, which later turns can use", async () => {
    const desk = await server.start(clock());
    await desk.say("what time is it?");
    expect(Object.keys(desk.peers.commits[0]?.state?.toolResults ?? {})).toEqual(["now"]);
    expect(desk.peers.record.toolCalls[0]?.kept).toBe(true);
  });
  it("can be used by a rule that is judged again after it", async () => {
    const late = {
      name: "late",
      condition: "what time is it",
      guard: "results.now.time > '18:00'",
      reevaluateAfterToolIds: ["now"],
      templateIds: ["late"],
    };
    const desk = await server.start({
      ...clock(turnOnly),
      rules: [{ ...asks, templateIds: [] }, late],
      templates: [{ name: "late", text: "We are closed." }],
    });
    expect((await desk.say("what time is it?")).reply).toBe("We are closed.");
  });
});

describe("rules that are judged again after a tool's result", () => {
  it("leave those alone that came into scope with the step", async () => {
    const visiting = {
      condition: "the customer wants to visit",
      examples: ["I want to visit you"],
    };
    const again = { guard: "!has(results.now)", reevaluateAfterToolIds: ["now"] };
    const desk = await server.start({
      agent: { settings: { ruleSelection: { kind: "SELECTION_KIND_FIXED_K", k: 5 } } },
      tools: [now],
      rules: [
        { ...visiting, name: "first", toolIds: ["now"] },
        { ...visiting, ...again, name: "before" },
        {
          ...visiting,
          name: "here",
          scope: "SCOPE_STEP",
          scenarioId: "visit",
          stepId: "look",
          templateIds: ["welcome"],
        },
      ],
      templates: [{ name: "welcome", text: "Welcome." }],
      scenarios: [
        {
          name: "visit",
          entryCondition: "the customer wants to visit",
          entryExamples: ["I want to visit you"],
          entryStepId: "look",
          steps: [{ id: "look", instructions: "Ask for the day.", collects: ["day"] }],
        },
      ],
    });
    await desk.say("I want to visit you");
    const applied = desk.peers.record.rules.filter((rule) => rule.applied);
    expect(applied.map(({ name }) => name).toSorted()).toEqual(["first", "here"]);
  });
});

describe("a step's tool", () => {
  const scenario = (tool: object) => ({
    tools: [{ ...now, ...tool }],
    scenarios: [
      {
        name: "visit",
        entryCondition: "the customer wants to visit",
        entryExamples: ["I want to visit you"],
        entryStepId: "look",
        steps: [
          {
            id: "look",
            instructions: "Ask for the day.",
            toolIds: ["now"],
            transitions: [{ toStepId: "end", condition: "the customer names a day" }],
          },
          { id: "end", instructions: "Say goodbye." },
        ],
      },
    ],
  });

  it.each([
    ["is for its turn only", turnOnly, json({ time: "18:03" })],
    ["is too large to be kept", {}, json({ time: "x".repeat(20_000) })],
  ])("runs once for each visit, also when its result %s", async (_, more, answer) => {
    server.answer = answer;
    const desk = await server.start(scenario(more));
    const { sessionId } = await desk.say("I want to visit you");
    expect(server.asked).toHaveLength(1);
    expect(desk.peers.record.toolCalls[0]?.kept).toBe(false);
    await desk.say("zyx", { sessionId });
    await desk.say("zyx again", { sessionId });
    expect(server.asked).toHaveLength(1);
  });
});

describe("a tool that makes trouble", () => {
  const trouble = (timeout: string) => ({
    ...clock({ timeout }),
    templates: [
      { name: "time", text: "It is {time}." },
      { name: "sorry", text: "I can't see the time.", mode: "TEMPLATE_MODE_FALLBACK" },
    ],
    rules: [{ ...asks, templateIds: ["time", "sorry"] }],
  });
  it.each([
    ["is slow", () => undefined, "TOOL_TIMEOUT", "0.05s"],
    ["is down", json({}, 503), "HTTP_503"],
    ["answers more than can be taken", json("x".repeat(3_000_000)), "TOOL_ANSWER_TOO_LARGE"],
    ["answers no JSON", (res: Parameters<ReturnType<typeof json>>[0]) => res.end("<p>"), "no JSON"],
  ])(
    "costs the turn nothing but its result when it %s",
    async (_, answer, reason, timeout = "5s") => {
      server.answer = answer;
      const desk = await server.start(trouble(timeout));
      expect((await desk.say("what time is it?")).reply).toBe("I can't see the time.");
      expect(desk.peers.record.toolCalls[0]?.reason).toContain(reason);
    },
  );
});
