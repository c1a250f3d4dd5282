import { describe, expect, it } from "vitest";
import { hybridIndex } from "./hybrid-index.ts";

const of = (...numbers: number[]) => Float32Array.from(numbers);
const refunds = {
  texts: ["the customer wants a refund", "give me my money back"],
  vectors: [of(1, 0, 0), of(0, 2, 0)],
};
const address = { texts: ["the customer changes the address"], vectors: [of(0, 0, 1)] };
const empty = { texts: [], vectors: [] };

describe("a hybrid index", () => {
  const index = hybridIndex([refunds, address, empty], 3);

  it("scores meaning half by the best text and half by what all are about", () => {
    const { vector } = index.scores({ text: "", vector: of(5, 0, 0) });
    expect(vector[0]).toBeCloseTo((1 + Math.SQRT1_2) / 2, 6);
    expect(Array.from(vector.subarray(1))).toEqual([0, 0]);
  });
  it("scores words over all texts of an entry", () => {
    const { bm25 } = index.scores({ text: "refund my money", vector: of(0, 0, 1) });
    expect(bm25[0]).toBeGreaterThan(0.2);
    expect(Array.from(bm25.subarray(1))).toEqual([0, 0]);
  });
  it("ranks by both and keeps both", () => {
    const query = { text: "change address", vector: of(0.8, 0, 0.6) };
    const found = index.rank(query, { limit: 10 });
    expect(found.map((ranked) => ranked.index)).toEqual([1, 0, 2]);
    expect(found[0]?.parts.vector).toBeCloseTo(0.6, 6);
    expect(found[0]?.parts.bm25).toBeGreaterThan(0.2);
    const byMeaning = index.rank(query, { limit: 1, weights: { vector: 1, bm25: 0 } });
    expect(byMeaning[0]?.index).toBe(0);
  });
  it("leaves out what is not accepted", () => {
    const query = { text: "refund", vector: of(1, 0, 0) };
    const found = index.rank(query, { limit: 10, accept: (at) => at !== 0 });
    expect(found.map((ranked) => ranked.index)).toEqual([1, 2]);
  });
  it("may be empty", () => {
    expect(hybridIndex([], 3).rank({ text: "x", vector: of(1, 0, 0) }, { limit: 5 })).toEqual([]);
  });
  it("refuses vectors of another model", () => {
    expect(() => hybridIndex([refunds], 4)).toThrow("vector 0 has 3 dimensions, the index 4");
    expect(() => index.scores({ text: "", vector: of(1) })).toThrow(RangeError);
  });
});
