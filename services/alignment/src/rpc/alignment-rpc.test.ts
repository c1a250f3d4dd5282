import { create } from "@bufbuild/protobuf";
import { RuleFiresSchema } from "@soldier/proto/session/v1/session";
import { afterEach, describe, expect, it } from "vitest";
import { Desks, shop } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

describe("rules over turns", () => {
  it("rest after they fired, and tell how long", async () => {
    const desk = await desks.start({
      ...shop,
      rules: [{ ...shop.rules[0], cooldownTurns: 2 }],
    });
    const { sessionId } = await desk.say("when do you open?");
    expect((await desk.say("when do you open?", { sessionId })).reply).toBe(
      "Sorry, I did not get that.",
    );
    expect(desk.peers.record.rules[0]).toMatchObject({ eliminatedBy: "cooldown", distance: 2 });
    expect(desk.peers.commits.at(-1)?.state?.ruleFires["hours"]).toEqual(
      create(RuleFiresSchema, { count: 1, lastTurn: 1 }),
    );
  });
  it("apply once when they are one-shot", async () => {
    const desk = await desks.start({
      ...shop,
      rules: [{ ...shop.rules[0], application: "RULE_APPLICATION_ONE_SHOT" }],
    });
    const { sessionId } = await desk.say("when do you open?");
    await desk.say("when do you open?", { sessionId });
    expect(desk.peers.record.rules[0]).toMatchObject({ applied: false, eliminatedBy: "one_shot" });
  });
  it("are told of in a why-not", async () => {
    const desk = await desks.start({
      ...shop,
      rules: [{ ...shop.rules[0], guard: "false" }, shop.rules[1] ?? {}],
    });
    const { completed } = await desk.say("when do you open?");
    const turnId = completed.turn?.id ?? "";
    const { candidate, explanation } = await desk.client.whyNot({ turnId, ruleId: "hours" });
    expect(candidate?.eliminatedBy).toBe("guard");
    expect(explanation).toBe("hours was not a candidate: its guard is false (false).");
    expect((await desk.client.explain({ turnId })).record?.turnId).toBe(turnId);
    const unknown = await desk.client.whyNot({ turnId, ruleId: "x" });
    expect(unknown).toMatchObject({
      explanation: "The rule x did not exist in version 1, which turn 1 ran on.",
    });
    expect(unknown.candidate).toBeUndefined();
  });
});

describe("the record of a turn", () => {
  const many = {
    ...shop,
    rules: [
      ...shop.rules,
      ...Array.from({ length: 60 }, (_, i) => ({
        name: `about-${i}`,
        condition: `the customer asks about thing number ${i}`,
        ...(i % 2 === 0 && { guard: "session.turn > 99" }),
      })),
    ],
  };
  it("has every rule: those that matter in words, all in numbers, and explains them all", async () => {
    const desk = await desks.start(many);
    const { completed } = await desk.say("when do you open?");
    const { record } = desk.peers;
    expect(record.rules.length).toBeLessThan(60);
    expect(record.rules[0]).toMatchObject({ name: "hours", applied: true });
    expect(record.ruleTable?.end).toHaveLength(62);
    const turnId = completed.turn?.id ?? "";
    const explained = (await desk.client.explain({ turnId })).record;
    expect(explained?.rules).toHaveLength(62);
    expect(explained?.ruleTable).toBeUndefined();
    const answers = await Promise.all(
      ["about-58", "about-59"].map((ruleId) => desk.client.whyNot({ turnId, ruleId })),
    );
    expect(answers.map(({ candidate }) => candidate?.eliminatedBy)).toEqual(["guard", "selection"]);
    expect(answers[0]?.explanation).toBe(
      "about-58 was not a candidate: its guard is false (session.turn > 99).",
    );
    expect(answers[1]?.explanation).toMatch(
      /^about-59 was eliminated by selection: its likelihood 0\.\d+ was 0\.\d+ below min_score 0\.\d+\.$/,
    );
  });
  it("of a dry run tells every rule in words", async () => {
    const desk = await desks.start(many);
    const { record } = await desk.client.dryRun({ agentId: "desk", text: "when do you open?" });
    expect(record?.rules).toHaveLength(62);
    expect(record?.ruleTable).toBeUndefined();
  });
  it("says which rules applied and where in which scenario the session is, for all to read", async () => {
    const desk = await desks.start({
      ...shop,
      scenarios: [
        {
          name: "taxi",
          entryCondition: "wants a taxi",
          entryExamples: ["I want a taxi"],
          steps: [{ id: "pick", instructions: "Where from?", terminal: true }],
        },
      ],
    });
    const { completed } = await desk.say("I want a taxi");
    expect(completed.position).toMatchObject({ scenarioId: "taxi", stepId: "pick" });
    expect(desk.peers.record.navigation).toMatchObject({ before: "", after: "taxi/pick" });
    const { sessionId } = completed.turn ?? {};
    const next = await desk.say("when do you open?", { sessionId: sessionId ?? "" });
    expect(next.completed.turn?.rules).toEqual(["hours"]);
  });
});

describe("a dry run", () => {
  it("says what would be answered and leaves no trace", async () => {
    const desk = await desks.start(shop);
    const { record, state } = await desk.client.dryRun({
      agentId: "desk",
      text: "when do you open",
    });
    expect(record?.replyText).toBe("We are open from 9 to 17.");
    expect(state?.ruleFires["hours"]?.count).toBe(1);
    expect(desk.peers.calls.get("beginTurn")).toBeUndefined();
    expect(desk.peers.calls.get("getOrCreateProfile")).toBeUndefined();
  });
});
