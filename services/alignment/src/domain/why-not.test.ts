import { create } from "@bufbuild/protobuf";
import { TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { BundleSchema } from "@soldier/proto/config/v1/bundle";
import { Scope } from "@soldier/proto/config/v1/rule";
import { describe, expect, it } from "vitest";
import { whyNot } from "./why-not.ts";

const version = create(BundleSchema, {
  rules: [
    { id: "id-hours", name: "hours", guard: "session.turn > 3" },
    { id: "id-pin", name: "pin", scope: Scope.STEP, scenarioId: "id-pay", stepId: "card" },
    { id: "id-fee", name: "fee", scope: Scope.SCENARIO, scenarioId: "id-pay" },
  ],
  scenarios: [{ id: "id-pay", name: "pay" }],
});

/** A turn with this one rule on record. */
function told(candidate: object, { name = "hours", navigation = {}, kept = true } = {}): string {
  const record = create(TurnRecordSchema, {
    turnNumber: 4,
    bundleVersion: 7n,
    navigation,
    rules: [{ ruleId: `id-${name}`, name, scores: { hybrid: 0.4, match: 0.41 }, ...candidate }],
  });
  const question = { record, rule: name, version: kept ? version : undefined };
  return whyNot({ ...question, liveVersion: undefined }).explanation;
}

const by = (eliminatedBy: string, reason = "", distance = 0, scores?: object) => ({
  eliminatedBy,
  reason,
  distance,
  ...(scores && { scores }),
});

describe("why a rule did not apply", () => {
  it.each([
    [
      "it applied",
      { applied: true, reason: "0.93 reaches 0.5" },
      "hours applied in turn 4: 0.93 reaches 0.5.",
    ],
    ["disabled", by("disabled"), "hours was not a candidate: it is disabled in version 7."],
    [
      "fires",
      by("fires", "fired 3 times, at most 3 in a session", 1),
      "hours was not a candidate: it had fired 3 times, at most 3 in a session.",
    ],
    [
      "cooldown",
      by("cooldown", "fired in turn 3, then rests for 2", 2),
      "hours was not a candidate: it fired in turn 3, then rests for 2, and may fire again in turn 6.",
    ],
    [
      "one-shot",
      by("one_shot", "it was applied already"),
      "hours was not a candidate: it is one-shot, and it was applied already.",
    ],
    [
      "guard",
      by("guard", "its guard is false"),
      "hours was not a candidate: its guard is false (session.turn > 3).",
    ],
    [
      "selection",
      by("selection", "adaptive_k: cut after 2", 0.12),
      "hours was eliminated by selection: its likelihood 0.41 was 0.12 below the last that was kept: adaptive_k: cut after 2.",
    ],
    [
      "selection, with little to be said for it",
      by("selection", "0.31 is below min_score 0.4", 0.09, { match: 0.31 }),
      "hours was eliminated by selection: its likelihood 0.31 was 0.09 below min_score 0.4.",
    ],
    [
      "selection, of equals",
      by("selection", "fixed_k: 5", 0),
      "hours was eliminated by selection: its likelihood 0.41 was no better than the last that was kept: fixed_k: 5.",
    ],
    [
      "lead",
      by("lead", "something else explains the message better", 0.05),
      "hours was eliminated by lead: its score 0.40 was 0.05 too far behind the best explanation of the message: something else explains the message better.",
    ],
    [
      "threshold",
      by("threshold", "0.41 is below 0.5", 0.09),
      "hours was eliminated by threshold: its likelihood 0.41 was 0.09 below the threshold 0.50.",
    ],
    [
      "threshold, reranked and by a hair",
      by("threshold", "", 0.001, { match: 0.9, rerank: 0.499 }),
      "hours was eliminated by threshold: its likelihood 0.50 was 0.001 below the threshold 0.50.",
    ],
    [
      "judge",
      by("judge", "it is about parking", 0.1, { judge: 0.1 }),
      "hours was eliminated by the judge, 0.10 likely to apply: it is about parking.",
    ],
    [
      "choice",
      by("choice", "the customer chose another"),
      "hours was eliminated by choice: the customer chose another.",
    ],
    [
      "relation",
      by("relation", "dropped by overrides: rule fee"),
      "hours matched, but was dropped by overrides: rule fee.",
    ],
    [
      "a stage of its own",
      by("budget", "nothing is left", 2),
      "hours was eliminated by budget, short by 2.00: nothing is left.",
    ],
    ["none", by("", "came on"), "hours passed every stage, but did not apply: came on."],
    ["retrieve", by("retrieve"), "hours was not considered: no rule was in turn 4."],
  ])("is said precisely: %s", (_, candidate, expected) => {
    expect(told(candidate)).toBe(expected);
  });

  it.each([
    [
      "pin",
      { before: "pay/amount", after: "pay/amount" },
      "STEP pay/card, the session was at pay/amount",
    ],
    [
      "pin",
      { before: "pay/amount", after: "pay/done" },
      "STEP pay/card, the session was at pay/amount and came to be at pay/done",
    ],
    ["fee", {}, "SCENARIO pay, the session was in no scenario"],
    [
      "fee",
      { before: "pay/card" },
      "SCENARIO pay, the session was at pay/card and came to be in no scenario",
    ],
  ])("says where %s applies and where the session was: %o", (name, navigation, expected) => {
    expect(told(by("scope"), { name, navigation })).toBe(
      `${name} was not a candidate: its scope is ${expected}.`,
    );
  });

  it("is told by the record's own words when the version is no longer kept", () => {
    expect(told(by("scope"), { kept: false })).toBe(
      "hours was not a candidate: the session was not in its scope, the session was in no scenario.",
    );
    expect(told(by("guard", "its guard is false"), { kept: false })).toBe(
      "hours was not a candidate: its guard is false.",
    );
  });
});

describe("a rule that is not on record", () => {
  const record = create(TurnRecordSchema, { turnNumber: 4, bundleVersion: 7n });
  const absent = (rule: string, more: Partial<Parameters<typeof whyNot>[0]> = {}) =>
    whyNot({ record, rule, version, liveVersion: undefined, ...more });

  it("did not exist in the version that ran, or is in a later one", () => {
    expect(absent("tax")).toEqual({
      explanation: "The rule tax did not exist in version 7, which turn 4 ran on.",
    });
    expect(absent("tax", { liveVersion: 9 }).explanation).toBe(
      "The rule tax did not exist in version 7, which turn 4 ran on; version 9, which is live, has it.",
    );
  });
  it("is said to be unknown when the version is no longer kept", () => {
    expect(absent("tax", { version: undefined }).explanation).toBe(
      "tax is not among the rules on record for turn 4, and version 7, which turn 4 ran on, is no longer kept.",
    );
  });
  it("was not considered when no rule was", () => {
    const silent = create(TurnRecordSchema, {
      turnNumber: 4,
      bundleVersion: 7n,
      steps: [{ name: "retrieve", skipped: "the session is in a person's hands" }],
    });
    expect(absent("hours", { record: silent }).explanation).toBe(
      "hours was not considered: no rule was in turn 4, the session is in a person's hands.",
    );
    expect(absent("id-fee").explanation).toBe(
      "fee was considered in turn 4, but scored below all that are on record.",
    );
  });
});
