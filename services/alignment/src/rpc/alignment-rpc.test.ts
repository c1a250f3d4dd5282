import { create } from "@bufbuild/protobuf";
import { RuleFiresSchema } from "@soldier/proto/session/v1/session";
import { afterEach, describe, expect, it } from "vitest";
import { Desks, reasonOf, shop } from "../testing-shop.ts";

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
    expect(explanation).toBe("hours was taken out by guard: its guard is false.");
    expect((await desk.client.explain({ turnId })).record?.turnId).toBe(turnId);
    expect((await desk.client.whyNot({ turnId, ruleId: "x" })).candidate).toBeUndefined();
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
  it("refuses what it can't try", async () => {
    const desk = await desks.start(shop);
    const behaviour = { case: "draft", value: true } as const;
    expect(await reasonOf(desk.client.dryRun({ agentId: "desk", text: "hi", behaviour }))).toBe(
      "DRY_RUN_UNSUPPORTED",
    );
  });
});
