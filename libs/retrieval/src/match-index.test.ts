import { describe, expect, it } from "vitest";
import { matchIndex, type MatchWeights } from "./match-index.ts";

const of = (...numbers: number[]) => Float32Array.from(numbers);
const refunds = {
  texts: ["the customer wants a refund", "give me my money back"],
  vectors: [of(1, 0, 0), of(0, 2, 0)],
};
const address = { texts: ["the customer changes the address"], vectors: [of(0, 0, 1)] };
const empty = { texts: [], vectors: [] };
const weights: MatchWeights = { vector_weight: 0.7, bm25_weight: 0.3, midpoint: 0.36, slope: 10 };

describe("a match index", () => {
  const index = matchIndex([refunds, address, empty], 3);

  it("scores meaning half by the best text and half by what all are about", () => {
    const [refund, ...others] = index.scores("", of(5, 0, 0), weights);
    expect(refund?.vector).toBeCloseTo((1 + Math.SQRT1_2) / 2, 6);
    expect(others.map(({ vector }) => vector)).toEqual([0, 0]);
  });
  it("scores words over all texts of an entry", () => {
    const [refund, ...others] = index.scores("refund my money", of(0, 0, 1), weights);
    expect(refund?.bm25).toBeGreaterThan(0.2);
    expect(others.map(({ bm25 }) => bm25)).toEqual([0, 0]);
  });
  it("weighs both, and keeps the parts of the score", () => {
    const found = index.scores("change address", of(0.8, 0, 0.6), weights);
    for (const { vector, bm25, hybrid } of found)
      expect(hybrid).toBeCloseTo(0.7 * vector + 0.3 * bm25, 6);
    expect(found[1]?.vector).toBeCloseTo(0.6, 6);
    expect(found[1]?.hybrid).toBeGreaterThan(found[0]?.hybrid ?? 1);
    const byMeaning = { ...weights, vector_weight: 1, bm25_weight: 0 };
    const [refund, other] = index.scores("change address", of(0.8, 0, 0.6), byMeaning);
    expect(refund?.hybrid).toBeGreaterThan(other?.hybrid ?? 1);
  });
  it("gives scores as likelihoods: even at the midpoint, and rising", () => {
    const half = { ...weights, vector_weight: 1, midpoint: 0.6 };
    const [refund, even, nothing] = index.scores("", of(0.8, 0, 0.6), half);
    expect(even?.match).toBeCloseTo(0.5, 6);
    expect(refund?.match).toBeGreaterThan(0.5);
    expect(nothing?.match).toBeCloseTo(1 / (1 + Math.exp(6)), 6);
  });
  it("leaves scores as they are, from 0 to 1, when there is no slope", () => {
    const plain = { ...weights, vector_weight: 2, slope: 0 };
    const matches = index.scores("", of(0, 0, 1), plain).map(({ match }) => match);
    expect(matches).toEqual([0, 1, 0]);
    expect(index.scores("", of(0, 0, -1), plain)[1]?.match).toBe(0);
  });
  it("goes by words alone where there is no vector, in the message or in an entry", () => {
    const [refund] = index.scores("refund", undefined, weights);
    expect(refund?.vector).toBe(0);
    expect(refund?.hybrid).toBeCloseTo(0.3 * (refund?.bm25 ?? 0), 6);
    const unembedded = matchIndex([{ ...address, vectors: [] }, refunds], 3);
    const [found, other] = unembedded.scores("change address", of(0, 0, 1), weights);
    expect(found?.vector).toBe(0);
    expect(found?.bm25).toBeGreaterThan(other?.bm25 ?? 1);
  });
  it("may be empty", () => {
    expect(matchIndex([], 3).scores("x", of(1, 0, 0), weights)).toEqual([]);
  });
  it("refuses vectors of another model", () => {
    expect(() => matchIndex([refunds], 4)).toThrow("vector 0 has 3 dimensions, the index 4");
    expect(() => index.scores("", of(1), weights)).toThrow(RangeError);
  });
});
