import { describe, expect, it } from "vitest";
import { commonVector, matchIndex, type MatchWeights } from "./match-index.ts";
import { normalise } from "./vectors.ts";

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

  it("scores meaning by the nearest text and, mostly, by what all are about", () => {
    const [refund, ...others] = index.scores("", of(5, 0, 0), weights);
    expect(refund?.nearest).toBeCloseTo(1, 6);
    expect(refund?.centroid).toBeCloseTo(Math.SQRT1_2, 6);
    expect(refund?.vector).toBeCloseTo((0.25 + 0.75 * Math.SQRT1_2) * Math.sqrt(0.85), 6);
    expect(others.map(({ vector }) => vector)).toEqual([0, 0]);
  });
  it("leaves one text's cosine as it is", () => {
    const [, one] = index.scores("", of(0.8, 0, 0.6), weights);
    expect([one?.nearest, one?.centroid, one?.vector].map((x) => x?.toFixed(6))).toEqual(
      Array(3).fill("0.600000"),
    );
  });
  it("takes off what all texts have in common, and next to nothing when there are few", () => {
    const shared = Array.from({ length: 400 }, (_, i) => of(1, i % 2, (i + 1) % 2));
    const common = commonVector(shared, 3);
    const [a, b] = [0, 1].map((i) => ({ texts: [`t${i}`], vectors: [shared[i] ?? of(1, 0, 0)] }));
    if (!a || !b) throw new Error("two entries");
    const plain = matchIndex([a, b], 3).scores("", of(1, 0, 1), weights);
    const apart = matchIndex([a, b], 3, common).scores("", of(1, 0, 1), weights);
    expect(plain[1]?.vector).toBeCloseTo(0.5, 6);
    expect(apart[0]?.vector).toBeCloseTo(1, 6);
    expect(apart[1]?.vector).toBeLessThan(0);
    const few = commonVector(shared.slice(0, 2), 3);
    expect(Math.hypot(...few)).toBeLessThan(0.01);
    expect(Math.hypot(...commonVector([], 3))).toBe(0);
  });
  it("expects more where an entry's own texts are alike than where they are far apart", () => {
    const alike = [of(1, 0.1, 0), of(1, -0.1, 0), of(1, 0, 0.1), of(1, 0, -0.1)].map(normalise);
    const far = [of(0, 1, 0.9), of(0, 1, -0.9), of(0.9, 1, 0), of(-0.9, 1, 0)].map(normalise);
    const both = matchIndex(
      [
        { texts: ["a"], vectors: alike },
        { texts: ["b"], vectors: far },
      ],
      3,
    );
    const [tight, wide] = both.scores("", of(1, 0, 0), weights);
    const [, lone] = both.scores("", of(0, 1, 0), weights);
    const scale = Math.sqrt(0.7 + 0.3 / 4);
    const mixed = (score: typeof tight) =>
      (0.25 * (score?.nearest ?? 0) + 0.75 * (score?.centroid ?? 0)) * scale;
    expect(tight?.vector).toBeLessThan(mixed(tight));
    expect(wide?.vector).toBeGreaterThan(mixed(wide));
    expect(lone?.vector).toBeGreaterThan(mixed(lone));
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
    const [refund, other] = index.scores("change address", of(0.96, 0, 0.28), byMeaning);
    expect(refund?.hybrid).toBeGreaterThan(other?.hybrid ?? 1);
  });
  it("gives scores as likelihoods: even at the midpoint, and rising", () => {
    const half = { ...weights, vector_weight: 1, midpoint: 0.6 };
    const [refund, even, nothing] = index.scores("", of(0.8, 0.53, 0.28), {
      ...half,
      midpoint: 0.28,
    });
    expect(even?.match).toBeCloseTo(0.5, 2);
    expect(refund?.match).toBeGreaterThan(0.5);
    expect(nothing?.match).toBeCloseTo(1 / (1 + Math.exp(2.8)), 6);
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
