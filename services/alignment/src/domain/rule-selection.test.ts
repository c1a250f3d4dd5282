import { create } from "@bufbuild/protobuf";
import { RuleSchema, Scope } from "@soldier/proto/config/v1/rule";
import { noMatch } from "@soldier/retrieval/match-index";
import { selectionDefaults } from "@soldier/retrieval/selection";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isIn, out, type RuleCandidate } from "./candidates.ts";
import { selectRules } from "./rule-selection.ts";

function candidate(match: number, rule: Parameters<typeof create<typeof RuleSchema>>[1] = {}) {
  const id = `r${match}-${rule.hardConstraint ?? false}-${rule.scope ?? 0}`;
  const made: RuleCandidate = {
    rule: create(RuleSchema, { id, ...rule }),
    scores: { ...noMatch, match },
    eliminatedBy: "",
    reason: "",
    distance: 0,
  };
  return made;
}

describe("the selection of rules", () => {
  const fixed = { ...selectionDefaults.fixed_k, k: 2, min_score: 0.2 };

  it("lets as many go on as the strategy says, and tells the others how far they were from it", () => {
    const [best, second, third, low] = selectRules(
      [0.9, 0.8, 0.5, 0.1].map((match) => candidate(match)),
      fixed,
    );
    expect([best, second].map((each) => each?.eliminatedBy)).toEqual(["", ""]);
    expect(third).toMatchObject({ eliminatedBy: "selection", reason: "fixed_k: k 2" });
    expect(third?.distance).toBeCloseTo(0.3);
    expect(low).toMatchObject({ eliminatedBy: "selection", reason: "0.10 is below min_score 0.2" });
    expect(low?.distance).toBeCloseTo(0.1);
  });
  it("keeps what is in force here: hard constraints, and rules of this scenario or step", () => {
    const rules = [
      candidate(0.9),
      candidate(0.8),
      candidate(0.7),
      candidate(0.01, { hardConstraint: true }),
      candidate(0.02, { scope: Scope.STEP }),
      candidate(0.03, { scope: Scope.SCENARIO }),
    ];
    const kept = selectRules(rules, fixed).map(isIn);
    expect(kept).toEqual([true, true, false, true, true, true]);
  });
  it("takes in nobody that something else took out", () => {
    const gone = out(candidate(0.95, { hardConstraint: true }), "guard", "its guard is false");
    const [first, second] = selectRules([gone, candidate(0.9)], fixed);
    expect(first).toBe(gone);
    expect(second?.eliminatedBy).toBe("");
  });
  it("says why of everyone, keeps their order, and is never wrong about the distance", () => {
    const strategies = Object.values(selectionDefaults);
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 }),
        fc.constantFrom(...strategies),
        (matches, strategy) => {
          const before = matches.map((match, i) => {
            const made = candidate(match);
            return { ...made, rule: { ...made.rule, id: `r${i}` } };
          });
          const after = selectRules(before, strategy);
          expect(after.map(({ rule }) => rule.id)).toEqual(before.map(({ rule }) => rule.id));
          expect(after.filter(isIn).length).toBeLessThanOrEqual(strategy.max_k);
          for (const each of after) {
            expect(each.reason).not.toBe("");
            expect(each.distance).toBeGreaterThanOrEqual(0);
          }
        },
      ),
    );
  });
});
