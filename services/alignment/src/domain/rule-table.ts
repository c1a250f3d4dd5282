import { create } from "@bufbuild/protobuf";
import {
  type RuleCandidate as RuleRecord,
  RuleCandidateSchema,
  type RuleEnd,
  RuleEndSchema,
  type RuleTable,
  RuleTableSchema,
} from "@soldier/proto/audit/v1/turn_record";
import type { Rule } from "@soldier/proto/config/v1/rule";
import { type MatchScore, noMatch } from "@soldier/retrieval/match-index";
import type { RuleCandidate } from "./candidates.ts";

/** More kinds of ends than this are told without their reasons: some have one for each rule. */
const endsMax = 100;

/** How every rule of a version fared, in the order of its rules; about ten bytes for each. */
export function ruleTable(
  rules: readonly Rule[],
  candidates: readonly RuleCandidate[],
  applied: ReadonlySet<string>,
): RuleTable {
  const byId = new Map(candidates.map((candidate) => [candidate.rule.id, candidate]));
  const ends = new Ends();
  const rows = rules.map(({ id }) => {
    const found = byId.get(id);
    return {
      scores: scoresOf(found?.scores ?? noMatch),
      distance: found?.distance ?? 0,
      end: ends.indexOf(
        found?.eliminatedBy ?? "retrieve",
        found?.reason ?? "it was not considered",
        applied.has(id),
      ),
    };
  });
  return create(RuleTableSchema, {
    scores: Object.keys(noMatch).map((part) => ({
      part,
      values: rows.map(({ scores }) => inTenThousandths(scores[part] ?? 0)),
    })),
    distance: rows.map(({ distance }) => inTenThousandths(distance)),
    end: rows.map(({ end }) => end),
    ends: [...ends.all],
  });
}

/** What the table says of rule `i` of its version; undefined when it has no such row. */
export function ruleRow(
  table: RuleTable,
  i: number,
  { id, name }: Pick<Rule, "id" | "name">,
): RuleRecord | undefined {
  const end = table.ends[table.end[i] ?? -1];
  if (!end) return undefined;
  return create(RuleCandidateSchema, {
    ruleId: id,
    name,
    scores: Object.fromEntries(
      table.scores.map(({ part, values }) => [part, (values[i] ?? 0) / scale]),
    ),
    applied: end.applied,
    eliminatedBy: end.eliminatedBy,
    reason: end.reason,
    distance: (table.distance[i] ?? 0) / scale,
  });
}

/** What became of rules, each kind of end once. */
class Ends {
  readonly all: RuleEnd[] = [];
  private readonly indices = new Map<string, number>();

  indexOf(eliminatedBy: string, reason: string, applied: boolean): number {
    const key = JSON.stringify([eliminatedBy, reason, applied]);
    const known = this.indices.get(key);
    if (known !== undefined) return known;
    // A kind of end without its reason may come on top: there are few stages.
    if (this.all.length >= endsMax && reason !== "") return this.indexOf(eliminatedBy, "", applied);
    this.indices.set(key, this.all.length);
    this.all.push(create(RuleEndSchema, { eliminatedBy, reason, applied }));
    return this.all.length - 1;
  }
}

function scoresOf(scores: MatchScore): Readonly<Record<string, number>> {
  return { ...scores };
}

const scale = 10_000;
const int32Max = 2_147_483_647;

function inTenThousandths(value: number): number {
  if (Number.isNaN(value)) return 0;
  return Math.max(-int32Max, Math.min(int32Max, Math.round(value * scale)));
}
