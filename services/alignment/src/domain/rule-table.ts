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
  const rows = rules.map(({ id }) => byId.get(id));
  const ends = new Ends();
  return create(RuleTableSchema, {
    scores: parts.map((part) => ({
      part,
      values: rows.map((row) => inTenThousandths(row?.scores[part] ?? 0)),
    })),
    distance: rows.map((row) => inTenThousandths(row?.distance ?? 0)),
    end: rows.map((row) =>
      row
        ? ends.indexOf(row.eliminatedBy, row.reason, applied.has(row.rule.id))
        : ends.indexOf("retrieve", "it was not considered", false),
    ),
    ends: ends.all,
  });
}

// The keys of an object with every part.
const parts = Object.keys(noMatch) as readonly (keyof MatchScore)[];

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
  /** By stage, then by reason: indices of the ends that applied and of those that did not. */
  private readonly known = new Map<string, Map<string, number>>();

  indexOf(eliminatedBy: string, reason: string, applied: boolean): number {
    const stage = applied ? `${eliminatedBy} applied` : eliminatedBy;
    let reasons = this.known.get(stage);
    if (!reasons) this.known.set(stage, (reasons = new Map()));
    const found = reasons.get(reason);
    if (found !== undefined) return found;
    // A kind of end without its reason may come on top: there are few stages.
    if (this.all.length >= endsMax && reason !== "") return this.indexOf(eliminatedBy, "", applied);
    reasons.set(reason, this.all.length);
    return this.all.push(create(RuleEndSchema, { eliminatedBy, reason, applied })) - 1;
  }
}

const scale = 10_000;
const int32Max = 2_147_483_647;

function inTenThousandths(value: number): number {
  if (Number.isNaN(value)) return 0;
  return Math.max(-int32Max, Math.min(int32Max, Math.round(value * scale)));
}
