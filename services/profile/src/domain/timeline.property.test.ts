import { FieldSource } from "@soldier/proto/profile/v1/profile";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Claim } from "./claim.ts";
import { outcomeAmong, type Span, standingAt, timelineOf } from "./timeline.ts";

const runs = { numRuns: 1_000 };
const hours = 12;
const hour = (n: number) => new Date(Date.UTC(2026, 2, 1, n));
const instants = Array.from({ length: hours + 4 }, (_, n) => hour(n));

/** Crowded on purpose: few times, values and sources, half of the claims open-ended. */
const drawn = fc.record({
  value: fc.constantFrom("paris", "rome", "london"),
  from: fc.integer({ min: 0, max: hours }),
  lasts: fc.option(fc.integer({ min: 1, max: 6 }), { freq: 1 }),
  expires: fc.option(fc.integer({ min: 1, max: 6 }), { freq: 1 }),
  source: fc.constantFrom(
    FieldSource.SYSTEM_INFERRED,
    FieldSource.USER_PROVIDED,
    FieldSource.HUMAN_ENTERED,
  ),
  verified: fc.boolean(),
  customerId: fc.constantFrom("ana", "bob"),
});

const history = fc.array(drawn, { maxLength: 9 }).map((all) =>
  all.map(({ from, lasts, expires, verified, ...one }, i): Claim => ({
    ...one,
    id: `claim ${i}`,
    name: "city",
    confidence: 1,
    verified: verified ? { method: "letter", by: "post", at: hour(0) } : undefined,
    validFrom: hour(from),
    validTo: lasts === null ? undefined : hour(from + lasts),
    expiresAt: expires === null ? undefined : hour(from + expires),
    deleteAfter: undefined,
    encrypted: false,
    sessionId: "",
    scenarioId: "",
    stepId: "",
    recordedBy: "",
    idempotencyKey: undefined,
    version: i + 2,
    outcome: "applied",
    recordedAt: hour(100 + i),
  })),
);

/** The rule as plain loops, for one instant: who holds, and the values that wait, the latest first. */
function byLoops(claims: readonly Claim[], at: Date) {
  let holder: Claim | undefined;
  let waiting: Claim[] = [];
  const live = claims.filter((one) => one.validFrom <= at && !(one.validTo && one.validTo <= at));
  for (const instant of instants)
    for (const claim of live) {
      if (claim.validFrom.getTime() !== instant.getTime()) continue;
      if (holder?.expiresAt && holder.expiresAt <= instant) [holder, waiting] = [undefined, []];
      const isSame = holder?.value === claim.value;
      const stronger = holder ? claim.source - holder.source : 1;
      let wins = !holder || (!isSame && !holder.verified);
      if (holder && isSame)
        wins = claim.verified
          ? !holder.verified || stronger >= 0
          : !holder.verified && stronger >= 0;
      if (holder && !isSame && holder.verified)
        wins = claim.verified ? stronger >= 0 : stronger > 0;
      if (wins) [holder, waiting] = [claim, []];
      else if (!isSame) waiting = [claim, ...waiting.filter(({ value }) => value !== claim.value)];
    }
  if (holder?.expiresAt && holder.expiresAt <= at) return { holder: undefined, waiting: [] };
  return { holder: holder?.id, waiting: waiting.map(({ id }) => id).toSorted() };
}

function told(spans: readonly Span[], at: Date) {
  const standing = standingAt(spans, at);
  return {
    holder: standing?.holding.id,
    waiting: standing?.pending.map(({ id }) => id).toSorted() ?? [],
  };
}

describe("a field's timeline", () => {
  it("says at every instant what the rule says of that instant", () => {
    fc.assert(
      fc.property(history, (claims) => {
        const spans = timelineOf(claims);
        for (const at of instants) expect(told(spans, at)).toEqual(byLoops(claims, at));
      }),
      runs,
    );
  });
  it("has one holder at a time, and no empty interval", () => {
    fc.assert(
      fc.property(history, (claims) => {
        const spans = timelineOf(claims);
        for (const { from, to } of spans) expect(!to || from < to).toBe(true);
        for (const at of instants) {
          const there = spans.filter(
            ({ disputed, from, to }) => !disputed && from <= at && (!to || at < to),
          );
          expect(there.length).toBeLessThanOrEqual(1);
        }
      }),
      runs,
    );
  });
  it("does not depend on the order in which claims are listed", () => {
    const shuffled = history.chain((claims) =>
      fc.tuple(
        fc.constant(claims),
        fc.shuffledSubarray(claims, { minLength: claims.length, maxLength: claims.length }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([claims, other]) => {
        for (const at of instants)
          expect(told(timelineOf(other), at)).toEqual(told(timelineOf(claims), at));
      }),
      runs,
    );
  });
  it("is not changed before a claim's beginning by that claim", () => {
    fc.assert(
      fc.property(history, (claims) => {
        const last = claims.at(-1);
        if (!last) return;
        for (const at of instants.filter((one) => one < last.validFrom))
          expect(told(timelineOf(claims), at)).toEqual(told(timelineOf(claims.slice(0, -1)), at));
      }),
      runs,
    );
  });
  it("has a claim hold from its beginning exactly when it was applied, and wait when it was pending", () => {
    fc.assert(
      fc.property(history, (claims) => {
        const last = claims.at(-1);
        if (!last || claims.slice(0, -1).some((one) => one.validFrom >= last.validFrom)) return;
        const { holder, waiting } = told(timelineOf(claims), last.validFrom);
        const outcome = outcomeAmong(claims, last);
        expect(outcome === "applied").toBe(holder === last.id);
        expect(outcome === "pending").toBe(waiting.includes(last.id));
      }),
      runs,
    );
  });
});
