import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { select, selectionDefaults, selectionFor, type SelectionStrategy } from "./selection.ts";

const { fixed_k, elbow, adaptive_k, entropy, clustering } = selectionDefaults;
const kept = (scores: readonly number[], strategy: SelectionStrategy) =>
  select(scores, strategy).kept;
const firstOnes = (count: number) => Array.from({ length: count }, (_, i) => i);

describe("fixed_k", () => {
  it("keeps five when nothing is said", () => {
    expect(kept([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], fixed_k)).toEqual(firstOnes(5));
    expect(select([0.9, 0.8], fixed_k)).toEqual({ kept: [0, 1], reason: "fixed_k: k 5" });
  });
});

describe("elbow", () => {
  it("cuts at the first relative drop above the threshold", () => {
    expect(select([0.9, 0.85, 0.6, 0.59], elbow)).toEqual({
      kept: [0, 1],
      reason: "elbow: drop of 0.294 after 2, above 0.15",
    });
  });
  it("keeps all when the scores fall gently", () => {
    expect(kept([0.9, 0.85, 0.8, 0.75], elbow)).toEqual(firstOnes(4));
  });
  it("sees no drop below zero, where shares mean nothing", () => {
    expect(kept([-0.1, -0.9], { ...elbow, min_score: -1 })).toEqual(firstOnes(2));
  });
});

describe("adaptive_k", () => {
  it("cuts where a drop stands out from the mean drop", () => {
    expect(select([0.9, 0.88, 0.87, 0.6, 0.55, 0.5], adaptive_k)).toEqual({
      kept: [0, 1, 2],
      reason: "adaptive_k: drop of 0.27 after 3, above 1.5 x mean drop 0.08",
    });
  });
  it("keeps one that is far ahead", () => {
    expect(kept([0.95, 0.5, 0.49, 0.48], adaptive_k)).toEqual([0]);
  });
  it("keeps equal scores together", () => {
    expect(kept([0.7, 0.7, 0.7], adaptive_k)).toEqual(firstOnes(3));
  });
});

describe("entropy", () => {
  const equal = (count: number) => Array.from({ length: count }, () => 0.5);
  it("keeps the more, the less the scores decide", () => {
    const all = { ...entropy, min_score: 0 };
    expect(kept([0.99, 0.002, 0.002, 0.002, 0.002], all)).toEqual(firstOnes(3));
    expect(kept([0.9, 0.4, 0.1, 0.01, 0.01, 0.01], all)).toEqual(firstOnes(5));
    expect(kept(equal(20), all)).toEqual(firstOnes(10));
  });
  it("counts exactly one bit and two bits as the middle", () => {
    expect(select(equal(2), entropy).reason).toBe("entropy: 1 bits, k 5");
    expect(select(equal(4), entropy).reason).toBe("entropy: 2 bits, k 5");
    expect(select(equal(1), entropy).reason).toBe("entropy: 0 bits, k 3");
  });
  it("takes scores without any weight as undecided", () => {
    expect(select([0, 0, 0, 0, 0], { ...entropy, min_score: 0 }).reason).toBe(
      "entropy: 2.322 bits, k 10",
    );
  });
});

describe("clustering", () => {
  it("keeps the top three of each dense group", () => {
    const scores = [0.95, 0.94, 0.93, 0.92, 0.6, 0.59];
    expect(select(scores, clustering)).toEqual({
      kept: [0, 1, 2, 4, 5],
      reason: "clustering: 2 groups within 0.1, top 3 of each",
    });
  });
  it("keeps one that is better than every group, and drops one that is worse than the first", () => {
    expect(kept([0.99, 0.8, 0.79, 0.6, 0.45, 0.44], clustering)).toEqual([0, 1, 2, 4, 5]);
  });
  it("keeps scores that all stand alone", () => {
    expect(kept([0.9, 0.7, 0.5], clustering)).toEqual([0, 1, 2]);
  });
  it("lets a score that isn't dense join a group but not join two groups into one", () => {
    // With four needed, 0.6 is near both runs and belongs to the upper.
    const scores = [0.71, 0.7, 0.69, 0.68, 0.6, 0.52, 0.51, 0.5, 0.49];
    const strategy = { ...clustering, min_size: 4, eps: 0.085, top: 1 };
    expect(select(scores, strategy)).toEqual({
      kept: [0, 5],
      reason: "clustering: 2 groups within 0.085, top 1 of each",
    });
  });
});

describe("the bounds of every strategy", () => {
  it("let min_k fill with scores below min_score, the best first, and say so", () => {
    expect(select([0.9, 0.2, 0.1], { ...elbow, min_k: 2 })).toEqual({
      kept: [0, 1],
      reason: "elbow: no drop above 0.15; the next is below min_score 0.5; filled to min_k 2",
    });
    expect(select([0.2, 0.1], { ...adaptive_k, min_k: 1 })).toEqual({
      kept: [0],
      reason: "best score 0.2 is below min_score 0.4; filled to min_k 1",
    });
  });
  it("fill gaps between groups before going down", () => {
    const scores = [0.95, 0.94, 0.93, 0.92, 0.6, 0.59];
    expect(kept(scores, { ...clustering, min_k: 6 })).toEqual(firstOnes(6));
  });
  it("let max_k win over everything", () => {
    expect(select([0.9, 0.9, 0.9], { ...adaptive_k, min_k: 3, max_k: 1 })).toEqual({
      kept: [0],
      reason: "adaptive_k: no drop above 1.5 x mean drop 0; max_k 1",
    });
  });
  it("keep nothing when nothing is relevant", () => {
    expect(select([], adaptive_k)).toEqual({ kept: [], reason: "no candidates" });
    expect(kept([0.3], adaptive_k)).toEqual([]);
  });
  it("refuse scores that aren't in order", () => {
    expect(() => select([0.1, 0.2], fixed_k)).toThrow("score 1 is not in descending order");
    expect(() => select([NaN], fixed_k)).toThrow(RangeError);
  });
  it("start as the design says for rules, scenarios and memory", () => {
    expect(selectionFor.rules).toMatchObject({ kind: "adaptive_k", alpha: 1.5, max_k: 10 });
    expect(selectionFor.scenarios).toMatchObject({ kind: "entropy", max_k: 5, min_score: 0.3 });
    expect(selectionFor.memory).toMatchObject({ kind: "clustering", max_k: 15, eps: 0.1 });
  });

  const scores = fc
    .array(fc.double({ min: -1, max: 1, noNaN: true }), { maxLength: 40 })
    .map((numbers) => numbers.toSorted((a, b) => b - a));
  const strategies = fc
    .record({
      base: fc.constantFrom<SelectionStrategy>(fixed_k, elbow, adaptive_k, entropy, clustering),
      min_k: fc.nat(12),
      max_k: fc.nat(12),
      min_score: fc.double({ min: -1, max: 1, noNaN: true }),
    })
    .map(({ base, ...bounds }): SelectionStrategy => ({ ...base, ...bounds }));

  it("hold for any scores", () => {
    fc.assert(
      fc.property(scores, strategies, (sorted, strategy) => {
        const { kept: positions, reason } = select(sorted, strategy);
        expect(positions.length).toBeLessThanOrEqual(strategy.max_k);
        expect(positions.length).toBeGreaterThanOrEqual(
          Math.min(strategy.min_k, strategy.max_k, sorted.length),
        );
        expect(positions).toEqual([...new Set(positions)].toSorted((a, b) => a - b));
        for (const position of positions) expect(sorted[position]).toBeDefined();
        const low = positions.filter((position) => sorted[position]! < strategy.min_score);
        expect(low.length > 0 && positions.length > strategy.min_k).toBe(false);
        expect(reason).not.toBe("");
      }),
      { numRuns: 500 },
    );
  });
  it("keep the best score whenever they keep any", () => {
    fc.assert(
      fc.property(scores, strategies, (sorted, strategy) => {
        const { kept: positions } = select(sorted, strategy);
        expect(positions.slice(0, 1)).toEqual(positions.length > 0 ? [0] : []);
      }),
    );
  });
});
