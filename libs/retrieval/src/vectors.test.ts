import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { centroid, normalise, packedVectorIndex, vectorIndex } from "./vectors.ts";

const of = (...numbers: number[]) => Float32Array.from(numbers);

describe("a vector index", () => {
  it("gives the cosine with each row, whatever the lengths", () => {
    const index = vectorIndex([of(2, 0), of(0, 5), of(-1, 0), of(3, 3)], 2);
    const [same, right, opposite, half] = index.similarities(of(10, 0));
    expect([same, right, opposite]).toEqual([1, 0, -1]);
    expect(half).toBeCloseTo(Math.SQRT1_2, 6);
  });
  it("gives 0 where there is no direction", () => {
    expect([...vectorIndex([of(0, 0), of(1, 0)], 2).similarities(of(1, 0))]).toEqual([0, 1]);
    expect([...vectorIndex([of(1, 0)], 2).similarities(of(0, 0))]).toEqual([0]);
  });
  it("changes neither the vectors nor the query", () => {
    const vector = of(3, 4);
    const query = of(6, 8);
    vectorIndex([vector], 2).similarities(query);
    expect([...vector, ...query]).toEqual([3, 4, 6, 8]);
  });
  it("refuses vectors of other dimensions", () => {
    expect(() => vectorIndex([of(1, 0), of(1, 0, 0)], 2)).toThrow("vector 1 has 3 dimensions");
    expect(() => vectorIndex([], 2).similarities(of(1))).toThrow("the query has 1 dimensions");
    expect(() => packedVectorIndex(of(1, 2, 3), 2)).toThrow("3 numbers are not rows of 2");
    expect(() => packedVectorIndex(of(), 0)).toThrow(RangeError);
  });
  it("gives equal rows the same similarity wherever they lie", () => {
    const row = of(0.1, 0.7, -0.3);
    const found = vectorIndex(Array(21).fill(row), 3).similarities(of(0.2, 0.9, 0.4));
    expect(new Set(found).size).toBe(1);
  });
  it("may be empty", () => {
    expect(vectorIndex([], 384).similarities(new Float32Array(384))).toHaveLength(0);
  });

  const dimensions = 7;
  const number = fc
    .float({ min: -1, max: 1, noNaN: true })
    .map((x) => (Math.abs(x) < 1e-3 ? 0 : x));
  const vector = fc
    .array(number, { minLength: dimensions, maxLength: dimensions })
    .map((numbers) => Float32Array.from(numbers));
  it("agrees with the formula written out", () => {
    fc.assert(
      fc.property(fc.array(vector, { maxLength: 30 }), vector, (rows, query) => {
        const found = vectorIndex(rows, dimensions).similarities(query);
        rows.forEach((row, i) => {
          const dot = row.reduce((sum, x, at) => sum + x * query[at]!, 0);
          const lengths = Math.hypot(...row) * Math.hypot(...query);
          expect(found[i]).toBeCloseTo(lengths > 0 ? dot / lengths : 0, 4);
        });
      }),
    );
  });
});

describe("a centroid", () => {
  it("is the unit vector between its members", () => {
    const [x, y] = centroid([of(1, 0), of(0, 1)], 2);
    expect(x).toBeCloseTo(Math.SQRT1_2, 6);
    expect(y).toBeCloseTo(Math.SQRT1_2, 6);
  });
  it("is zero for no members, and for opposite ones", () => {
    expect([...centroid([], 2)]).toEqual([0, 0]);
    expect([...centroid([of(1, 0), of(-1, 0)], 2)]).toEqual([0, 0]);
  });
});

describe("normalise", () => {
  it("works in place", () => {
    const vector = of(3, 4);
    expect(normalise(vector)).toBe(vector);
    expect(vector[0]).toBeCloseTo(0.6, 6);
  });
});
