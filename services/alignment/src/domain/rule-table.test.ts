import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { RuleTableSchema, TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { BundleSchema } from "@soldier/proto/config/v1/bundle";
import { newId } from "@soldier/kernel/ids";
import { noMatch } from "@soldier/retrieval/match-index";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RuleCandidate } from "./candidates.ts";
import { ruleRecords } from "./rule-records.ts";
import { ruleRow, ruleTable } from "./rule-table.ts";
import { inFull, whyNot } from "./why-not.ts";

const share = fc.double({ min: -1, max: 1, noNaN: true });
const fate = fc.record({
  vector: share,
  bm25: share,
  match: share,
  distance: fc.double({ min: -10, max: 10, noNaN: true }),
  eliminatedBy: fc.constantFrom("", "selection", "scope", "guard"),
  reason: fc.constantFrom("", "a", "b"),
});

function version(count: number) {
  return create(BundleSchema, {
    rules: Array.from({ length: count }, (_, i) => ({ id: newId(), name: `rule-${i}` })),
  });
}

describe("the table of rules", () => {
  it("gives back what became of every rule, to four decimals", () => {
    fc.assert(
      fc.property(fc.array(fate, { maxLength: 40 }), (fates) => {
        const { rules } = version(fates.length);
        const candidates = fates.map(({ vector, bm25, match, ...rest }, i): RuleCandidate => ({
          rule: rules[i]!,
          scores: { ...noMatch, vector, bm25, match },
          ...rest,
        }));
        const applied = new Set(rules.filter((_, i) => i % 7 === 0).map(({ id }) => id));
        // Rules that a tool brought have no row, and the order of candidates does not matter.
        const table = fromBinary(
          RuleTableSchema,
          toBinary(RuleTableSchema, ruleTable(rules, candidates.toReversed(), applied)),
        );
        for (const [i, rule] of rules.entries()) {
          const row = ruleRow(table, i, rule);
          const { vector, bm25, match, distance, eliminatedBy, reason } = fates[i]!;
          expect(row).toMatchObject({ eliminatedBy, reason, applied: applied.has(rule.id) });
          const { scores } = row!;
          for (const [part, value] of Object.entries({ vector, bm25, match }))
            expect(scores[part]).toBeCloseTo(value, 4);
          expect(row?.distance).toBeCloseTo(distance, 4);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("stays below a third of a megabyte for ten thousand rules, whatever reasons they have", () => {
    const bundle = version(10_000);
    const candidates = bundle.rules.map((rule, i): RuleCandidate => ({
      rule,
      scores: {
        ...noMatch,
        vector: Math.sin(i) / 2,
        bm25: 1 / (i + 1),
        hybrid: Math.cos(i) / 2,
        match: (i % 997) / 997,
      },
      eliminatedBy: i < 150 ? "judge" : i % 3 ? "selection" : "guard",
      reason: i < 150 ? "x".repeat(2_000) : i % 3 ? "adaptive_k" : `its guard: no such key k${i}`,
      distance: 0.1234,
    }));
    const record = create(TurnRecordSchema, {
      bundleVersion: 7n,
      turnNumber: 1,
      rules: ruleRecords(candidates, new Set()),
      ruleTable: ruleTable(bundle.rules, candidates, new Set()),
    });
    expect(record.rules).toHaveLength(150);
    expect(record.ruleTable?.ends.length).toBeLessThan(110);
    const sizeBytes = toBinary(TurnRecordSchema, record).byteLength;
    expect(sizeBytes).toBeLessThan(350_000);
    const last = bundle.rules.at(-1)!;
    const asked = { record, rule: last.name, version: bundle, liveVersion: undefined };
    expect(whyNot(asked).candidate).toMatchObject({ ruleId: last.id, eliminatedBy: "guard" });
    const full = inFull(record, bundle, 1_000);
    expect(full.rules).toHaveLength(1_000);
    expect(full.ruleTable).toBeDefined();
    expect(new Set(full.rules.map(({ ruleId }) => ruleId)).size).toBe(1_000);
  });

  it("is told in full where all of it fits", () => {
    const bundle = version(60);
    const candidates = bundle.rules.map((rule, i): RuleCandidate => ({
      rule,
      scores: { ...noMatch, match: i / 60 },
      eliminatedBy: "selection",
      reason: "fixed_k",
      distance: 0,
    }));
    const rules = ruleRecords(candidates, new Set());
    const record = create(TurnRecordSchema, {
      rules,
      ruleTable: ruleTable(bundle.rules, candidates, new Set()),
    });
    expect(rules).toHaveLength(12);
    const full = inFull(record, bundle, 1_000);
    expect(full.ruleTable).toBeUndefined();
    expect(full.rules.map(({ name }) => name)).toEqual(
      bundle.rules.map(({ name }) => name).toReversed(),
    );
  });
});
