import { describe, expect, it } from "vitest";
import { bestByOwner, hybridScores, rankReciprocal } from "./fusion.ts";

const of = (...numbers: number[]) => Float32Array.from(numbers);

describe("the hybrid score", () => {
  it("is seven tenths vector and three tenths BM25 unless weighed otherwise", () => {
    const parts = { vector: of(0.5, 1), bm25: of(1, 0) };
    expect(hybridScores(parts)[0]).toBeCloseTo(0.65, 6);
    expect(hybridScores(parts)[1]).toBeCloseTo(0.7, 6);
    expect([...hybridScores(parts, { vector: 0, bm25: 1 })]).toEqual([1, 0]);
  });
  it("refuses scores of different candidates", () => {
    expect(() => hybridScores({ vector: of(1), bm25: of(1, 2) })).toThrow(RangeError);
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
