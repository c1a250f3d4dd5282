import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Claim } from "./claim.ts";
import { factHistory, versionKey } from "./fact-history.ts";
import { type Fact, factsOf, type Sayings } from "./facts.ts";
import { holdersByLoop } from "./testing-model.ts";
import { claimsOf, dayAt, days, drawn, history, rules, saidIn } from "./testing-claims.ts";

const runs = { numRuns: 1_000 };
const latest = Infinity;
const instants = Array.from({ length: days + 8 }, (_, i) => dayAt(i).getTime());
const recordedTimes = Array.from({ length: 14 }, (_, i) => 999 + i);

const holding = (facts: readonly Fact[]) => facts.filter(({ disputed }) => !disputed);
const covers = (fact: Fact, instant: number) => fact.from <= instant && instant < fact.to;
const keys = (facts: readonly Fact[]) => facts.map(versionKey).toSorted();
const own = ({ claims, groupId }: Sayings) => claims.filter((claim) => claim.groupId === groupId);
const said = (claims: readonly Claim[], group = "g") => saidIn(group, claims);

/** Who holds each slot at an instant, as the model tells it. */
function holdersIn(sayings: Sayings, recordedAt: number, instant: number): readonly string[] {
  return holding(factsOf(sayings, recordedAt))
    .filter((fact) => covers(fact, instant))
    .map(({ subject, predicate, value }) =>
      [subject, predicate, value.kind === "entity" ? value.id : ""].join(" "),
    )
    .toSorted();
}

describe("facts", () => {
  it("have one holder of a slot at a time (P1)", () => {
    fc.assert(
      fc.property(history, (drawings) => {
        for (const side of ["slot", "inverseSlot"] as const)
          for (const of of Map.groupBy(
            holding(factsOf(said(claimsOf(drawings)), latest)).filter((fact) => fact[side]),
            (fact) => fact[side],
          ).values())
            for (const instant of instants)
              expect(of.filter((fact) => covers(fact, instant)).length).toBeLessThanOrEqual(1);
      }),
      runs,
    );
  });

  it("don't depend on the order of the list (P2)", () => {
    const shuffled = history.chain((drawings) => {
      const claims = claimsOf(drawings);
      return fc.tuple(
        fc.constant(claims),
        fc.shuffledSubarray([...claims], { minLength: claims.length }),
      );
    });
    fc.assert(
      fc.property(shuffled, ([claims, other]) => {
        expect(keys(factsOf(said(other), latest))).toEqual(keys(factsOf(said(claims), latest)));
      }),
      runs,
    );
  });

  it("don't depend on the order of arrival, but where recording breaks a tie (P3)", () => {
    const untied = fc.uniqueArray(drawn, { maxLength: 10, selector: ({ from }) => from });
    const arrivals = untied.chain((drawings) => {
      const claims = claimsOf(drawings).filter(({ kind, target }) => kind !== "retract" || target);
      const times = claims.map(({ recordedAt }) => recordedAt);
      return fc.tuple(fc.constant(claims), fc.shuffledSubarray(times, { minLength: times.length }));
    });
    fc.assert(
      fc.property(arrivals, ([claims, times]) => {
        const later = claims.map((claim, i) => ({
          ...claim,
          recordedAt: times[i] ?? claim.recordedAt,
        }));
        expect(keys(factsOf(said(later), latest))).toEqual(keys(factsOf(said(claims), latest)));
      }),
      runs,
    );
  });

  it("as believed at a recorded time are not changed by a later claim (P4)", () => {
    fc.assert(
      fc.property(history, fc.nat(12), (drawings, count) => {
        const claims = claimsOf(drawings);
        const earlier = claims.slice(0, count);
        const at = 999 + earlier.length;
        expect(factsOf(said(claims), at)).toEqual(factsOf(said(earlier), at));
      }),
      runs,
    );
  });

  it("are as if an erased episode had never been, at every recorded time (P6)", () => {
    fc.assert(
      fc.property(history, fc.integer({ min: 0, max: 4 }), (drawings, number) => {
        const claims = claimsOf(drawings);
        const erased = new Set([`e${number}`]);
        const never = said(claims.filter(({ episodeId }) => !erased.has(episodeId ?? "")));
        for (const at of recordedTimes)
          expect(factsOf({ ...said(claims), erased }, at)).toEqual(factsOf(never, at));
      }),
      { numRuns: 300 },
    );
  });

  it("rest on claims that count, at least one each (P7)", () => {
    fc.assert(
      fc.property(history, (drawings) => {
        const claims = claimsOf(drawings);
        const taken = new Set(
          claims.flatMap(({ kind, target }) => (kind === "retract" && target ? [target] : [])),
        );
        const asserts = new Set(
          claims.flatMap(({ id, kind, groupId }) =>
            kind === "assert" && groupId === "g" ? [id] : [],
          ),
        );
        for (const { claimIds } of factsOf(said(claims), latest)) {
          expect(claimIds.length).toBeGreaterThan(0);
          expect(claimIds.filter((id) => taken.has(id) || !asserts.has(id))).toEqual([]);
        }
      }),
      runs,
    );
  });

  it("of one group don't change by what is done in another (P8)", () => {
    fc.assert(
      fc.property(history, (drawings) => {
        const claims = claimsOf(drawings);
        // A retract that was sent into the wrong group names a claim of this one.
        const [first] = claims.filter(({ groupId, kind }) => groupId === "g" && kind === "assert");
        const wrong: Claim[] = first
          ? [{ ...first, id: "x", kind: "retract", target: first.id, groupId: "h" }]
          : [];
        expect(factsOf(said([...claims, ...wrong]), latest)).toEqual(
          factsOf(said(claims.filter(({ groupId }) => groupId === "g")), latest),
        );
      }),
      runs,
    );
  });

  it("are what a plain loop over the definition says, at every instant and recorded time (P9, P12)", () => {
    fc.assert(
      fc.property(history, fc.constantFrom(...recordedTimes, latest), (drawings, at) => {
        const sayings = said(claimsOf(drawings));
        for (const instant of instants)
          expect(holdersIn(sayings, at, instant)).toEqual(
            holdersByLoop(own(sayings), rules, at, instant),
          );
      }),
      { numRuns: 3_000 },
    );
  });

  it("are nothing when what was asserted is retracted (P10)", () => {
    fc.assert(
      fc.property(history, drawn, (drawings, one) => {
        const before = claimsOf(drawings);
        const added = claimsOf([...drawings, { ...one, kind: "assert", group: "g" }]).at(-1);
        if (!added) throw new Error("one was added");
        const retract: Claim = { ...added, id: "r", kind: "retract", target: added.id };
        expect(factsOf(said([...before, added, retract]), latest)).toEqual(
          factsOf(said(before), latest),
        );
      }),
      runs,
    );
  });

  it("leave out no claim without a cause in its slot (P11)", () => {
    fc.assert(
      fc.property(history, (drawings) => {
        const claims = claimsOf(drawings).filter(({ groupId }) => groupId === "g");
        const facts = factsOf(said(claims), latest);
        for (const claim of claims) {
          const { kind, subject, predicate, value, validFrom, validTo, saidAt } = claim;
          if (kind !== "assert" || (value?.kind === "entity" && value.id === subject)) continue;
          if (validTo && validTo <= (validFrom ?? saidAt)) continue;
          if (facts.some(({ claimIds }) => claimIds.includes(claim.id))) continue;
          const others = claims.filter(
            (other) =>
              other !== claim &&
              other.predicate === predicate &&
              (other.subject === subject || predicate === "reached_at"),
          );
          expect(others.length).toBeGreaterThan(0);
        }
      }),
      runs,
    );
  });
});

describe("the history of facts", () => {
  it("answers at every recorded time what was believed then (P4)", () => {
    fc.assert(
      fc.property(history, (drawings) => {
        const sayings = said(claimsOf(drawings));
        const versions = factHistory(sayings);
        for (const at of recordedTimes)
          expect(
            keys(versions.filter((one) => one.recordedAt <= at && at < one.supersededAt)),
          ).toEqual(keys(factsOf(sayings, at)));
      }),
      { numRuns: 500 },
    );
  });

  it("is the same when entities were merged and unmerged, but for the time between (P17)", () => {
    fc.assert(
      fc.property(history, (drawings) => {
        const sayings = said(claimsOf(drawings));
        const merge = {
          from: "bob",
          to: "alice",
          recordedAt: new Date(2_000),
          undoneAt: new Date(2_001),
        };
        const merged = { ...sayings, merges: [merge] };
        for (const at of [1_999, 2_001, latest])
          expect(keys(factsOf(merged, at))).toEqual(keys(factsOf(sayings, at)));
        const between = factsOf(merged, 2_000);
        expect(between.filter(({ subject }) => subject === "bob")).toEqual([]);
      }),
      runs,
    );
  });
});
