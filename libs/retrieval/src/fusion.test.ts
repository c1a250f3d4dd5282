import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bestByOwner, hybridScores, rank, rankHybrid, rankReciprocal } from "./fusion.ts";

const of = (...numbers: number[]) => Float32Array.from(numbers);

describe("the hybrid score", () => {
  it("is seven tenths vector and three tenths BM25, and keeps both parts", () => {
    const [best, second] = rankHybrid({ vector: of(0.5, 1), bm25: of(1, 0) }, 10);
    expect(best).toMatchObject({ index: 1, parts: { vector: 1, bm25: 0 } });
    expect(best?.score).toBeCloseTo(0.7, 6);
    expect(second).toMatchObject({ index: 0, parts: { vector: 0.5, bm25: 1 } });
    expect(second?.score).toBeCloseTo(0.65, 6);
  });
  it("takes other weights", () => {
    const [best] = rankHybrid({ vector: of(0.5, 1), bm25: of(1, 0) }, 1, { vector: 0, bm25: 1 });
    expect(best?.index).toBe(0);
  });
  it("refuses scores of different candidates", () => {
    expect(() => hybridScores({ vector: of(1), bm25: of(1, 2) })).toThrow(RangeError);
  });
});

describe("rank", () => {
  it("gives the same as sorting all, the earlier first among equals", () => {
    const score = fc.integer({ min: -3, max: 3 }).map((x) => x / 4);
    fc.assert(
      fc.property(fc.array(score), fc.integer({ min: 0, max: 12 }), (scores, limit) => {
        const sorted = scores
          .map((value, index) => ({ index, score: value }))
          .toSorted((a, b) => b.score - a.score || a.index - b.index);
        expect(rank(Float32Array.from(scores), limit)).toEqual(sorted.slice(0, limit));
      }),
    );
  });
});

describe("rank with a filter", () => {
  it("ranks those that are accepted", () => {
    const found = rank(of(0.9, 0.8, 0.7, 0.6), 2, (index) => index % 2 === 1);
    expect(found.map(({ index }) => index)).toEqual([1, 3]);
  });
});

describe("the best by owner", () => {
  it("is each owner's highest, and -Infinity for one without any", () => {
    const owners = Uint32Array.from([0, 1, 0, 1]);
    expect([...bestByOwner(of(0.25, -1, 0.5, -2), owners, 3)]).toEqual([0.5, -1, -Infinity]);
  });
  it("refuses owners of other scores", () => {
    expect(() => bestByOwner(of(1), Uint32Array.from([0, 0]), 1)).toThrow(RangeError);
  });
});

describe("reciprocal-rank fusion", () => {
  it("adds 1 / (60 + rank) over the rankings", () => {
    const [best, second, third] = rankReciprocal(
      [
        [7, 3],
        [3, 9],
      ],
      10,
    );
    expect(best).toEqual({ index: 3, score: 1 / 62 + 1 / 61, ranks: [2, 1] });
    expect(second).toEqual({ index: 7, score: 1 / 61, ranks: [1, undefined] });
    expect(third).toEqual({ index: 9, score: 1 / 62, ranks: [undefined, 2] });
  });
  it("puts the lower position first among equals, whichever ranking comes first", () => {
    const order = (rankings: number[][]) => rankReciprocal(rankings, 9).map(({ index }) => index);
    expect(order([[5], [2]])).toEqual([2, 5]);
    expect(order([[2], [5]])).toEqual([2, 5]);
  });
  it("keeps to the limit and to the k given", () => {
    expect(rankReciprocal([[1, 2, 3]], 2)).toHaveLength(2);
    expect(rankReciprocal([[1]], 1, 0)[0]?.score).toBe(1);
  });
});
