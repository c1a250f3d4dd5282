import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { holderAt, resolveSlot, type SlotAssert, type SlotEnd, type SlotPolicy } from "./slot.ts";

const assert = (object: string, from: number, over: Partial<SlotAssert> = {}): SlotAssert => ({
  id: `${object}${from}`,
  object,
  from,
  to: Infinity,
  authority: 0,
  recordedAt: from,
  ...over,
});
const end = (object: string | undefined, at: number, target?: string): SlotEnd => ({
  object,
  at,
  target,
});
const told = (asserts: readonly SlotAssert[], ends: readonly SlotEnd[] = [], policy?: SlotPolicy) =>
  resolveSlot(asserts, ends, policy).map(({ object, from, to, reason, disputed }) =>
    [object, from, to, disputed ? "disputed" : reason]
      .filter((part) => part !== undefined)
      .join(" "),
  );

describe("a slot", () => {
  it("goes to an open successor for good, whatever becomes of it", () => {
    const moved = [assert("paris", 1), assert("london", 5)];
    expect(told(moved)).toEqual(["paris 1 5 succession", "london 5 Infinity"]);
    expect(told(moved, [end("london", 7)])).toEqual(["paris 1 5 succession", "london 5 7 end"]);
  });
  it("is only masked by what was bounded, and resumes", () => {
    expect(told([assert("paris", 1), assert("rome", 3, { to: 4 })])).toEqual([
      "paris 1 3 masked",
      "rome 3 4 end",
      "paris 4 Infinity",
    ]);
  });
  it("begins anew when the same is said after an end", () => {
    expect(told([assert("acme", 1), assert("acme", 6)], [end("acme", 3)])).toEqual([
      "acme 1 3 end",
      "acme 6 Infinity",
    ]);
  });
  it("joins what touches, with the sources of both", () => {
    const pieces = resolveSlot([assert("yoga", 1, { to: 3 }), assert("yoga", 3)], []);
    expect(pieces).toMatchObject([{ from: 1, to: Infinity, claimIds: ["yoga1", "yoga3"] }]);
  });
  it("has, of two from the same time, the stronger, else the last recorded", () => {
    const [leeds, york] = [
      assert("leeds", 1, { recordedAt: 1 }),
      assert("york", 1, { recordedAt: 2 }),
    ];
    expect(told([leeds, york])).toEqual(["york 1 Infinity"]);
    expect(told([{ ...leeds, authority: 3 }, york])).toEqual(["leeds 1 Infinity"]);
  });
  it("is ended by an END of its claim alone, of its object, or of whatever holds", () => {
    expect(told([assert("paris", 1)], [end("paris", 4, "other")])).toEqual(["paris 1 Infinity"]);
    expect(told([assert("paris", 1)], [end("rome", 4)])).toEqual(["paris 1 Infinity"]);
    expect(told([assert("paris", 1)], [end(undefined, 4)])).toEqual(["paris 1 4 end"]);
    expect(told([assert("paris", 5)], [end("paris", 4)])).toEqual(["paris 5 Infinity"]);
  });
  it("keeps what is verified where authority goes first, and has the newcomer as disputed", () => {
    const policy = { protectedFrom: 3 };
    const said = [assert("leeds", 1, { authority: 3 }), assert("york", 4, { authority: 2 })];
    expect(told(said, [], policy)).toEqual(["leeds 1 Infinity", "york 4 Infinity disputed"]);
    expect(told(said, [end("leeds", 9)], policy)).toEqual([
      "leeds 1 9 end",
      "york 4 9 disputed",
      "york 9 Infinity",
    ]);
    const verified = [...said, assert("hull", 6, { authority: 3 })];
    expect(told(verified, [], policy)).toEqual([
      "leeds 1 6 succession",
      "york 4 6 disputed",
      "hull 6 Infinity",
    ]);
  });

  it("is by its intervals what its definition says of each instant (P12)", () => {
    const anAssert = fc
      .record({
        object: fc.constantFrom("a", "b", "c"),
        from: fc.nat(9),
        length: fc.option(fc.integer({ min: 1, max: 4 }), { nil: Infinity, freq: 2 }),
        authority: fc.nat(3),
        recordedAt: fc.nat(3),
      })
      .map(({ length, ...rest }) => ({ ...rest, to: rest.from + length }));
    const anEnd = fc.record({
      target: fc.option(fc.constantFrom("0", "1", "2", "3"), { nil: undefined }),
      object: fc.constantFrom("a", "b", "c", undefined),
      at: fc.nat(12),
    });
    fc.assert(
      fc.property(
        fc.array(anAssert, { maxLength: 7 }),
        fc.array(anEnd, { maxLength: 3 }),
        fc.constantFrom(3, Infinity),
        (drawn, ends, protectedFrom) => {
          const asserts = drawn.map((one, i) => ({ ...one, id: String(i) }));
          const pieces = resolveSlot(asserts, ends, { protectedFrom });
          for (let instant = 0; instant < 16; instant++) {
            const there = pieces.filter(
              ({ from, to, disputed }) => !disputed && from <= instant && instant < to,
            );
            expect(there.map(({ object }) => object)).toEqual(
              [holderAt(asserts, ends, instant, { protectedFrom })].filter(
                (holder) => holder !== undefined,
              ),
            );
          }
        },
      ),
      { numRuns: 3_000 },
    );
  });
});
