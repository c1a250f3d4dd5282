import { create } from "@bufbuild/protobuf";
import {
  type RuleCandidate as RuleRecord,
  RuleCandidateSchema,
  type ScenarioCandidate as ScenarioRecord,
  ScenarioCandidateSchema,
} from "@soldier/proto/audit/v1/turn_record";
import type { MatchScore } from "@soldier/retrieval/match-index";
import { isIn, type RuleCandidate, type ScenarioCandidate } from "./candidates.ts";

/** Rules that a record names, at most: those that applied always, then the best of the others. */
const rulesMax = 24;
const scenariosMax = 8;

/** How each rule fared, the most relevant first. What is left out scored lower than all of these. */
export function ruleRecords(
  candidates: readonly RuleCandidate[],
  applied: ReadonlySet<string>,
): RuleRecord[] {
  const best = candidates.toSorted(
    (a, b) =>
      Number(applied.has(b.rule.id)) - Number(applied.has(a.rule.id)) ||
      Number(isIn(b)) - Number(isIn(a)) ||
      b.scores.match - a.scores.match,
  );
  const certain = best.filter(({ rule }) => applied.has(rule.id)).length;
  return best.slice(0, Math.max(rulesMax, certain)).map((candidate) =>
    create(RuleCandidateSchema, {
      ruleId: candidate.rule.id,
      name: candidate.rule.name,
      scores: {
        ...scoresOf(candidate.scores),
        ...(candidate.rerank !== undefined && { rerank: candidate.rerank }),
        ...(candidate.judge !== undefined && { judge: candidate.judge }),
      },
      applied: applied.has(candidate.rule.id),
      eliminatedBy: candidate.eliminatedBy,
      reason: candidate.reason,
      distance: rounded(candidate.distance),
    }),
  );
}

export function scenarioRecords(candidates: readonly ScenarioCandidate[]): ScenarioRecord[] {
  return candidates
    .toSorted((a, b) => b.scores.match - a.scores.match)
    .slice(0, scenariosMax)
    .map(({ scenario, scores, reason }) =>
      create(ScenarioCandidateSchema, {
        scenarioId: scenario.id,
        name: scenario.name,
        scores: scoresOf(scores),
        reason,
      }),
    );
}

function scoresOf({ vector, bm25, hybrid, match }: MatchScore): Record<string, number> {
  return {
    vector: rounded(vector),
    bm25: rounded(bm25),
    hybrid: rounded(hybrid),
    match: rounded(match),
  };
}

function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
