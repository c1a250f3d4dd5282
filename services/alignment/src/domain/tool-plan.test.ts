import { create } from "@bufbuild/protobuf";
import { type Tool, ToolSchema } from "@soldier/proto/config/v1/tool";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JsonRecord } from "./json.ts";
import { overlaps, type PlannedCall, plannedCalls } from "./tool-plan.ts";

const filled = (proposal?: { readonly values: JsonRecord }) => ({
  values: proposal?.values ?? {},
  missing: [],
  invalid: new Map<string, string>(),
  unsaid: [],
});

/** Some tools, each preferred over some of those after it, and what a model proposes of each. */
const situations = fc
  .record({
    consequential: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
    over: fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { maxLength: 6 }),
    proposed: fc.array(
      fc.option(
        fc.array(fc.record({ to: fc.constantFrom("Ann", "Bob", "Eve"), n: fc.nat(3) }), {
          maxLength: 3,
        }),
        { nil: undefined },
      ),
      { minLength: 5, maxLength: 5 },
    ),
    hasModel: fc.boolean(),
  })
  .map(({ consequential, over, proposed, hasModel }) => {
    const due: Tool[] = consequential.map((each, i) =>
      create(ToolSchema, {
        id: `${i}`,
        consequential: each,
        preferredOverToolIds: over.filter(([a, b]) => a === i && b > i).map(([, b]) => `${b}`),
      }),
    );
    const calls = new Map(
      due.flatMap(({ id }, i) => {
        const known = hasModel ? proposed[i] : undefined;
        return known ? [[id, known] as const] : [];
      }),
    );
    return { due, proposed: calls, hasModel };
  });

type Situation = typeof situations extends fc.Arbitrary<infer S> ? S : never;

function planOf(situation: Situation): ReadonlyMap<Tool, readonly PlannedCall[]> {
  return new Map(situation.due.map((tool) => [tool, plannedCalls({ ...situation, tool, filled })]));
}
const made = (calls: readonly PlannedCall[] = []) =>
  calls.filter(({ refusal }) => refusal === undefined);

describe("the calls of a turn", () => {
  it("are those that were proposed, but for what a preferred tool does", () => {
    fc.assert(
      fc.property(situations, (situation) => {
        for (const [tool, calls] of planOf(situation)) {
          const proposals = situation.proposed.get(tool.id) ?? [];
          if (proposals.length === 0) continue;
          expect(calls.map(({ given }) => given.values)).toEqual(proposals);
          const yields = situation.due.some((other) =>
            other.preferredOverToolIds.includes(tool.id),
          );
          expect(made(calls).length).toBeGreaterThanOrEqual(yields ? 0 : proposals.length);
        }
      }),
    );
  });
  it("never do one request with two tools that overlap", () => {
    fc.assert(
      fc.property(situations, (situation) => {
        const plan = planOf(situation);
        for (const [one, calls] of plan)
          for (const [other, others] of plan) {
            if (one === other || !overlaps(one, other)) continue;
            for (const call of made(calls))
              for (const same of made(others))
                expect(call.given.values).not.toEqual(same.given.values);
          }
      }),
    );
  });
  it("never do unasked what can't be taken back while there is a model", () => {
    fc.assert(
      fc.property(situations, (situation) => {
        fc.pre(situation.hasModel);
        const consequential = [...planOf(situation)].filter(([tool]) => tool.consequential);
        for (const [{ id }, calls] of consequential)
          expect(made(calls).length).toBeLessThanOrEqual(situation.proposed.get(id)?.length ?? 0);
      }),
    );
  });
  it("leave something to be done of every request: a preferred tool does what another may not", () => {
    fc.assert(
      fc.property(situations, (situation) => {
        const plan = planOf(situation);
        fc.pre(!situation.due.some(({ consequential }) => consequential));
        expect([...plan.values()].some((calls) => made(calls).length > 0)).toBe(true);
      }),
    );
  });
});
