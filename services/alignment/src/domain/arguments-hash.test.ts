import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { argumentsHash } from "./arguments-hash.ts";

const hex = (values: Parameters<typeof argumentsHash>[0]) =>
  Buffer.from(argumentsHash(values)).toString("hex");

describe("a hash of arguments", () => {
  it("is the same in whatever order their names come", () => {
    expect(hex({ a: 1, b: { c: [1, { e: 1, d: 2 }] } })).toBe(
      hex({ b: { c: [1, { d: 2, e: 1 }] }, a: 1 }),
    );
  });

  it("differs with every value, type and position", () => {
    const all = [
      {},
      { a: 1 },
      { a: "1" },
      { a: null },
      { a: [1, 2] },
      { a: [2, 1] },
      { a: { 0: 1, 1: 2 } },
      { b: 1 },
      { a: '1},{"b":1' },
    ];
    expect(new Set(all.map((values) => hex(values))).size).toBe(all.length);
  });

  it("is that of any copy whose names were shuffled", () => {
    const entries = fc.uniqueArray(fc.tuple(fc.string(), fc.jsonValue()), {
      selector: ([name]) => name,
    });
    fc.assert(
      fc.property(entries, fc.infiniteStream(fc.nat()), (pairs, keys) => {
        const shuffled = pairs
          .map((pair) => ({ pair, key: keys.next().value ?? 0 }))
          .toSorted((a, b) => a.key - b.key)
          .map(({ pair }) => pair);
        // What the library generates as JSON is JSON.
        const one = Object.fromEntries(pairs) as Parameters<typeof argumentsHash>[0];
        const other = Object.fromEntries(shuffled) as Parameters<typeof argumentsHash>[0];
        expect(hex(other)).toBe(hex(one));
      }),
    );
  });
});
