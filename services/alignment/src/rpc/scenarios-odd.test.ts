import type { JsonValue } from "@bufbuild/protobuf";
import { VisitReason } from "@soldier/proto/session/v1/session";
import { afterEach, describe, expect, it } from "vitest";
import { bundleOf, type TurnUnderTest } from "../testing.ts";
import { Desks } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const scenario = (steps: JsonValue, more: Record<string, JsonValue> = {}) => ({
  name: "tour",
  entryCondition: "the customer wants a tour",
  entryExamples: ["I want a tour"],
  steps,
  ...more,
});
const say = (id: string, to: readonly string[] = []) => ({
  id,
  instructions: `This is ${id}.`,
  terminal: to.length === 0,
  transitions: to.map((toStepId) => ({
    toStepId,
    condition: `the customer asks for ${toStepId}`,
    examples: [`show me ${toStepId} please`],
  })),
});
const stateOf = (desk: TurnUnderTest) => desk.peers.commits.at(-1)?.state;

/** Publishes other behaviour under the sessions that there are; held versions are not kept long. */
function publish(desk: TurnUnderTest, behaviour: Record<string, JsonValue>): void {
  desk.peers.bundle = bundleOf({ ...behaviour, version: 2 });
}
const soon = { settings: { alignment: { bundle_recheck_ms: 1 } } };

describe("what should not happen, and does", () => {
  it("a guard that takes long is false, and says so", async () => {
    const tens = "[0,1,2,3,4,5,6,7,8,9]";
    const guard = `${tens}.all(a, ${tens}.all(b, ${tens}.all(c, ${tens}.all(d, ${tens}.all(e, a + b + c + d + e >= 0)))))`;
    const steps = [
      { id: "a", instructions: "Hm.", transitions: [{ toStepId: "b", guard }] },
      say("b"),
    ];
    const desk = await desks.start({ scenarios: [scenario(steps)] });
    const { sessionId } = await desk.say("I want a tour");
    await desk.say("zyx", { sessionId });
    expect(stateOf(desk)?.position?.stepId).toBe("a");
    expect(desk.peers.record.navigation?.moves[0]?.reason).toBe("guard: takes too long");
  });

  it("a step that is gone under a session is found again where the message fits, else left", async () => {
    const rooms = (...ids: string[]) => ({
      scenarios: [scenario([say("hall", ids), ...ids.map((id) => say(id))])],
    });
    const desk = await desks.start(rooms("kitchen", "cellar"), soon);
    const { sessionId } = await desk.say("I want a tour");
    await desk.say("show me kitchen please", { sessionId });
    expect(stateOf(desk)?.position?.stepId).toBe("kitchen");

    publish(desk, rooms("garden", "cellar"));
    await desk.say("show me cellar please", { sessionId });
    expect(stateOf(desk)?.position?.stepId).toBe("cellar");
    expect(stateOf(desk)?.visits.at(-1)?.reason).toBe(VisitReason.RELOCALISATION);
    expect(desk.peers.record.navigation?.reason).toBe(
      "the scenario has no step kitchen any more; the step is gone; found again here",
    );

    publish(desk, rooms("garden"));
    desk.peers.bundle.version = 3n;
    await desk.say("zyx qrv", { sessionId });
    expect(stateOf(desk)?.position).toBeUndefined();
    expect(desk.peers.record.navigation?.reason).toContain("no step fits well enough");
  });

  it("a scenario that is gone under a session is left, and another may start at once", async () => {
    const desk = await desks.start(
      { scenarios: [scenario([say("hall", ["end"]), say("end")])] },
      soon,
    );
    const { sessionId } = await desk.say("I want a tour");
    publish(desk, { scenarios: [scenario([say("gate")], { name: "visit" })] });
    await desk.say("I want a tour", { sessionId });
    expect(stateOf(desk)?.position).toMatchObject({ scenarioId: "visit", stepId: "gate" });
    expect(desk.peers.record.navigation?.reason).toContain("no longer published");
  });

  it("a scenario that is disabled under a session is finished by it, and starts no more", async () => {
    const steps = [say("hall", ["end"]), say("end")];
    const desk = await desks.start({ scenarios: [scenario(steps)] }, soon);
    const { sessionId } = await desk.say("I want a tour");
    publish(desk, { scenarios: [scenario(steps, { disabled: true })] });
    await desk.say("show me end please", { sessionId });
    expect(stateOf(desk)?.position?.stepId).toBe("end");
    await desk.say("I want a tour", { sessionId });
    expect(stateOf(desk)?.position).toBeUndefined();
    expect(desk.peers.record.navigation?.moves.at(-1)).toMatchObject({
      kind: "entry",
      reason: "disabled",
    });
  });

  it("edges in a circle that need nothing end the turn, and then come to rest", async () => {
    const round = (id: string, toStepId: string) => ({ id, transitions: [{ toStepId }] });
    const desk = await desks.start({ scenarios: [scenario([round("a", "b"), round("b", "a")])] });
    const { sessionId } = await desk.say("I want a tour");
    expect(stateOf(desk)?.visits).toHaveLength(6);
    expect(desk.peers.record.navigation?.reason).toBe("stops after 5 moves without the customer");
    for (const text of ["one", "two", "three"]) await desk.say(text, { sessionId });
    expect(stateOf(desk)?.visits).toHaveLength(10);
    expect(desk.peers.record.navigation?.reason).toMatch(
      /^loop: 5 visits of [ab] within 10 turns$/,
    );
  });

  it("two scenarios that fit equally well: one starts, by priority and then by place, always the same", async () => {
    const twin = (name: string, priority = 0) => scenario([say("hall")], { name, priority });
    const started = async (scenarios: JsonValue) => {
      const desk = await desks.start({ scenarios });
      await desk.say("I want a tour");
      return stateOf(desk)?.position?.scenarioId;
    };
    expect(await started([twin("first"), twin("second")])).toBe("first");
    expect(await started([twin("first"), twin("second")])).toBe("first");
    expect(await started([twin("first"), twin("second", 5)])).toBe("second");
  });

  it("a scenario of 500 steps is walked like any other", async () => {
    const ids = Array.from({ length: 500 }, (_, i) => `room-${i}`);
    const steps = ids.map((id, i) => ({
      ...say(id, [...ids.slice(i + 1, i + 2), ...ids.slice(100, 120)]),
      collects: i < 4 ? ["name"] : [],
    }));
    const desk = await desks.start({
      scenarios: [scenario(steps)],
      fieldDefinitions: [{ name: "name", extractionPattern: "I am (\\w+)" }],
    });
    const { sessionId } = await desk.say("I want a tour");
    const startedMs = performance.now();
    await desk.say("show me room-1 please", { sessionId });
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(stateOf(desk)?.position?.stepId).toBe("room-1");
  });
});
