import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { VariableLevel, VariableValueSchema } from "@soldier/proto/config/v1/template";
import { CustomerProfileSchema } from "@soldier/proto/profile/v1/profile";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { valueOf } from "../domain/json.ts";
import type { TurnUnderTest } from "../testing.ts";
import { json, ToolServer } from "../testing-tools.ts";

const server = new ToolServer();
beforeAll(() => server.listen());
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => server.reset(json({ tier: "fetched" })));

/** A moment each minute, and one that is years away. */
const soon = { refreshCron: "* * * * *" };
const rarely = { refreshCron: "0 0 29 2 *" };
const plan = {
  name: "plan",
  toolId: "fetch",
  resultPath: "tier",
  policy: "VARIABLE_POLICY_ON_EACH_TURN",
};
const desk = (more: object = {}) => ({
  rules: [
    {
      name: "plan",
      condition: "the customer asks for the plan",
      examples: ["which plan do I have"],
      templateIds: ["plan"],
    },
  ],
  templates: [{ name: "plan", text: "You are on {plan}." }],
  tools: [{ name: "fetch", idempotent: true, http: { method: "GET", url: "${shop}/plan" } }],
  variables: [{ ...plan, ...more }],
});
const minutesAgo = (minutes: number) => timestampFromDate(new Date(Date.now() - minutes * 60_000));
const ask = async (started: TurnUnderTest, sessionId?: string) =>
  started.say("which plan do I have?", sessionId === undefined ? {} : { sessionId });
const sourceOf = ({ peers }: TurnUnderTest) => peers.record.variables[0]?.source;

/** Makes what the session has resolved older than it is. */
function age({ peers }: TurnUnderTest, sessionId: string, minutes: number): void {
  const state = peers.sessions.get(sessionId)?.state;
  for (const resolved of Object.values(state?.variables ?? {})) {
    resolved.resolvedAt = minutesAgo(minutes);
    if (resolved.expiresAt) resolved.expiresAt = minutesAgo(minutes - 1);
  }
}

describe("a value that a tool gave", () => {
  it.each([
    ["its time to live", { cacheTtl: "3600s" }],
    ["the next of its moments", rarely],
    ["the sooner of both", { ...rarely, cacheTtl: "3600s" }],
  ])("is not fetched again before %s", async (_, more) => {
    const started = await server.start(desk(more));
    const { reply, sessionId } = await ask(started);
    expect([reply, sourceOf(started)]).toEqual(["You are on fetched.", "tool"]);
    await ask(started, sessionId);
    expect([server.asked.length, sourceOf(started)]).toEqual([1, "cache"]);
  });
  it("is fetched again after it", async () => {
    const started = await server.start(desk(soon));
    const { sessionId } = await ask(started);
    age(started, sessionId, 5);
    await ask(started, sessionId);
    expect([server.asked.length, sourceOf(started)]).toEqual([2, "tool"]);
  });
  it("is used when its time is over and the tool gives no other, and the record says so", async () => {
    const started = await server.start(desk(soon));
    const { sessionId } = await ask(started);
    age(started, sessionId, 5);
    server.answer = json({}, 503);
    expect((await ask(started, sessionId)).reply).toBe("You are on fetched.");
    expect(sourceOf(started)).toBe("stale");
  });
  it("goes before what is set for a group, the agent and everyone, but not before the customer's own", async () => {
    const started = await server.start({
      ...desk(soon),
      variableValues: [{ variable: "plan", level: "VARIABLE_LEVEL_AGENT", value: "agent" }],
    });
    const { sessionId } = await ask(started);
    age(started, sessionId, 5);
    server.answer = json({}, 503);
    expect((await ask(started, sessionId)).reply).toBe("You are on fetched.");
    expect((await ask(started)).reply).toBe("You are on agent.");
  });
});

describe("a value that is stored for the customer", () => {
  async function stored(more: object, minutesOld: number): Promise<TurnUnderTest> {
    const started = await server.start(desk(more));
    const id = newId();
    const identities = [{ channel: Channel.WEBCHAT, externalId: "ada" }];
    started.peers.profiles.set(id, create(CustomerProfileSchema, { id, identities }));
    started.peers.variableValues = [
      create(VariableValueSchema, {
        variable: "plan",
        level: VariableLevel.CUSTOMER,
        key: id,
        value: valueOf("stored"),
        updatedAt: minutesAgo(minutesOld),
      }),
    ];
    return started;
  }

  it.each([
    ["a moment that is to come", rarely, 5],
    ["a time to live that is not over", { cacheTtl: "3600s" }, 5],
    ["nothing that would end it", {}, 1e6],
  ])("is used without a call under %s", async (_, more, minutesOld) => {
    const started = await stored(more, minutesOld);
    expect((await ask(started)).reply).toBe("You are on stored.");
    expect([server.asked.length, sourceOf(started)]).toEqual([0, "customer"]);
  });
  it.each([
    ["a moment has passed", soon, 5],
    ["its time to live is over", { cacheTtl: "60s" }, 5],
  ])("is fetched when %s, and used if that fails", async (_, more, minutesOld) => {
    const started = await stored(more, minutesOld);
    server.answer = json({}, 503);
    expect((await ask(started)).reply).toBe("You are on stored.");
    expect(sourceOf(started)).toBe("stale");
    server.answer = json({ tier: "fetched" });
    expect((await ask(started)).reply).toBe("You are on fetched.");
    expect(sourceOf(started)).toBe("tool");
  });
});

describe("the moment of a variable", () => {
  const visit = {
    name: "visit",
    entryCondition: "the customer wants to visit",
    entryExamples: ["I want to visit you"],
    entryStepId: "ask",
    steps: [
      {
        id: "ask",
        instructions: "Ask for the day.",
        transitions: [
          { toStepId: "end", condition: "the customer says Monday", examples: ["Monday"] },
        ],
      },
      { id: "end", instructions: "Say goodbye.", terminal: true },
    ],
  };

  it("is each turn, needed or not", async () => {
    const started = await server.start(desk());
    const { sessionId } = await started.say("zyx");
    await started.say("zyx", { sessionId });
    expect(server.asked).toHaveLength(2);
  });
  it("is the first turn of a session, once", async () => {
    const started = await server.start(desk({ policy: "VARIABLE_POLICY_ON_SESSION_START" }));
    const { sessionId } = await started.say("zyx");
    expect(server.asked).toHaveLength(1);
    await ask(started, sessionId);
    expect([server.asked.length, sourceOf(started)]).toEqual([1, "cache"]);
  });
  it("is when something in use names it", async () => {
    const started = await server.start(desk({ policy: "VARIABLE_POLICY_ON_DEMAND" }));
    const { sessionId } = await started.say("zyx");
    expect(server.asked).toHaveLength(0);
    await ask(started, sessionId);
    expect(server.asked).toHaveLength(1);
  });
  it("is each start of a scenario", async () => {
    const started = await server.start({
      ...desk({ policy: "VARIABLE_POLICY_ON_SCENARIO_ENTRY" }),
      scenarios: [visit],
    });
    const { sessionId } = await started.say("zyx");
    expect(server.asked).toHaveLength(0);
    await started.say("I want to visit you", { sessionId });
    expect(server.asked).toHaveLength(1);
    await started.say("Monday", { sessionId });
    expect(server.asked).toHaveLength(1);
    await started.say("zyx", { sessionId });
    await started.say("I want to visit you", { sessionId });
    expect(server.asked).toHaveLength(2);
  });
  it("never makes its tool ask the customer for what it lacks", async () => {
    const needy = {
      inputSchema: { type: "object", required: ["n"], properties: { n: { type: "integer" } } },
    };
    const started = await server.start({
      ...desk({ defaultValue: "free" }),
      tools: [{ ...desk().tools[0], ...needy }],
    });
    expect((await ask(started)).reply).toBe("You are on free.");
    expect(started.peers.record.toolCalls[0]?.missingArguments).toEqual(["n"]);
  });
});
