import { describe, expect, it } from "vitest";
import { calibrate, labelsMin, type Sample } from "./calibration.ts";

/** Numbers from 0 to 1, the same in every run. */
function numbers(): () => number {
  let state = 7;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Rules that are right score around `right` by meaning, others around `wrong`; words say nothing. */
function samples(right: number, wrong: number, count = 100): Sample[] {
  const random = numbers();
  const around = (centre: number) => centre + 0.1 * (random() - 0.5);
  return Array.from({ length: count }, (_, i) => {
    const theirs = i % 2 === 0 ? `r${i % 5}` : undefined;
    return {
      expected: new Set(theirs === undefined ? [] : [theirs]),
      rules: Array.from({ length: 5 }, (__, at) => ({
        name: `r${at}`,
        vector: around(`r${at}` === theirs ? right : wrong),
        bm25: random(),
        applied: at === 0,
      })),
      entries: [],
    };
  });
}

describe("calibrating", () => {
  it("finds a midpoint that tells right from wrong, on messages that it did not see", () => {
    for (const [right, wrong] of [
      [0.8, 0.6],
      [0.3, 0.1],
    ] as const) {
      const { settings, before, heldOut } = calibrate(samples(right, wrong));
      expect(heldOut.objective).toBeGreaterThan(0.95);
      expect(before.objective).toBeLessThan(0.3);
      expect(settings.midpoint / settings.vector_weight).toBeGreaterThan(wrong);
      expect(settings.midpoint / settings.vector_weight).toBeLessThan(right + 0.05);
      expect(settings.bm25_weight).toBeLessThanOrEqual(0.1); // words say nothing here
      expect(settings.vector_weight + settings.bm25_weight).toBeCloseTo(1);
      expect(settings.certain_threshold).toBeGreaterThanOrEqual(settings.match_threshold);
      expect(settings.min_score).toBeLessThan(settings.match_threshold);
    }
  });
  it("finds nothing where there is nothing to find, and says so by what was held out", () => {
    const { heldOut } = calibrate(samples(0.5, 0.5));
    expect(heldOut.objective).toBeLessThan(0.65);
  });
  it("takes the entry of a scenario for another explanation", () => {
    const withEntries = samples(0.8, 0.3).map((sample, i) => ({
      ...sample,
      rules:
        sample.expected.size > 0 ? sample.rules : sample.rules.map((r) => ({ ...r, vector: 0.8 })),
      entries: i % 2 === 1 ? [{ name: "start", vector: 1.2, bm25: 1, applied: false }] : [],
    }));
    const { heldOut } = calibrate(withEntries);
    expect(heldOut.rejected).toBeGreaterThan(0.9);
    expect(heldOut.agreement).toBeGreaterThan(0.9);
  });
  it("gives the same for the same labels", () => {
    expect(calibrate(samples(0.6, 0.4))).toEqual(calibrate(samples(0.6, 0.4)));
  });
  it("refuses too few labels, and says how many it takes", () => {
    expect(() => calibrate(samples(0.8, 0.3, 30))).toThrow(
      `at least ${labelsMin.withRule} messages with a rule and ${labelsMin.withoutRule} without are needed; there are 15 and 15`,
    );
  });
});
