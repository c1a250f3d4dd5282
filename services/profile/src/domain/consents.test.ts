import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { consentsAt, type ConsentWord, type Merge } from "./consents.ts";

const minute = (n: number) => new Date(Date.UTC(2026, 2, 1, 0, n));

const word = (customerId: string, n: number, granted: boolean): ConsentWord => ({
  customerId,
  version: n,
  purpose: "marketing",
  granted,
  validFrom: minute(n),
  recordedAt: minute(n),
  recordedBy: "",
  evidence: "",
});
const merge = (fromId: string, intoId: string, n: number): Merge => ({
  fromId,
  intoId,
  recordedAt: minute(n),
});
const granted = (words: readonly ConsentWord[], merges: readonly Merge[], n = 99) =>
  consentsAt(words, merges, minute(n))[0]?.granted;

describe("a consent", () => {
  it("is the last word in force", () => {
    const words = [word("ana", 1, true), word("ana", 5, false)];
    expect(granted(words, [], 0)).toBeUndefined();
    expect(granted(words, [], 4)).toBe(true);
    expect(granted(words, [], 5)).toBe(false);
  });
  it("of customers who became one is the stricter, whoever said it last", () => {
    const words = [word("ana", 1, false), word("bob", 2, true)];
    expect(granted(words, [merge("ana", "bob", 3)])).toBe(false);
    expect(granted(words, [merge("bob", "ana", 3)])).toBe(false);
  });
  it("given after they became one is given for both", () => {
    const words = [word("ana", 1, false), word("bob", 4, true)];
    expect(granted(words, [merge("ana", "bob", 3)])).toBe(true);
  });
  it("given for two is not given for a third who joins later", () => {
    const words = [word("ana", 1, false), word("bob", 4, true), word("eve", 2, false)];
    const first = merge("ana", "bob", 3);
    expect(granted(words, [first])).toBe(false); // eve's word is there, but she is not one with them
    expect(granted(words, [first, merge("bob", "eve", 5)])).toBe(false);
    expect(granted([...words, word("eve", 6, true)], [first, merge("bob", "eve", 5)])).toBe(true);
  });
  it("never stands against a withdrawal that no later word of the merged customer replaces", () => {
    const said = fc.record({
      who: fc.constantFrom("ana", "bob"),
      at: fc.integer({ min: 1, max: 20 }),
      granted: fc.boolean(),
    });
    const all = fc.uniqueArray(said, { maxLength: 8, selector: ({ at }) => at });
    fc.assert(
      fc.property(all, fc.integer({ min: 1, max: 20 }), (drawn, mergedAt) => {
        const words = drawn.map(({ who, at, granted: yes }) => word(who, at, yes));
        const after = drawn.filter(({ at }) => at >= mergedAt).toSorted((a, b) => a.at - b.at);
        const before = (who: string) =>
          drawn
            .filter((one) => one.who === who && one.at < mergedAt)
            .toSorted((a, b) => a.at - b.at)
            .at(-1)?.granted;
        const last = [before("ana"), before("bob")].filter((one) => one !== undefined);
        const expected =
          after.at(-1)?.granted ?? (last.length === 0 ? undefined : !last.includes(false));
        expect(granted(words, [merge("ana", "bob", mergedAt)])).toBe(expected);
      }),
    );
  });
});
