import { create } from "@bufbuild/protobuf";
import {
  type RuleCandidate as RuleRecord,
  RuleCandidateSchema,
  type ScenarioCandidate as ScenarioRecord,
  ScenarioCandidateSchema,
} from "@soldier/proto/audit/v1/turn_record";
import type { MatchScore } from "@soldier/retrieval/match-index";
import { isIn, type RuleCandidate, type ScenarioCandidate } from "./candidates.ts";
import { isTransient } from "./directives.ts";

/** Rules that are told one by one, at most, beyond those that applied; a table has the rest. */
const pastRetrievalMax = 200;
/** So many are told even when retrieval let fewer through: what came near is worth reading. */
const toldMin = 12;

/** What a reason of a model's may take of a record, in characters. */
const reasonLengthMax = 500;

/**
 * The rules that matter most in a turn, the most relevant first: those that applied, those that came
 * past retrieval, and the best of the others.
 */
export function ruleRecords(
  candidates: readonly RuleCandidate[],
  applied: ReadonlySet<string>,
): RuleRecord[] {
  const best = candidates.toSorted(
    (a, b) =>
      Number(applied.has(b.rule.id)) - Number(applied.has(a.rule.id)) ||
      Number(cameOn(b)) - Number(cameOn(a)) ||
      Number(isIn(b)) - Number(isIn(a)) ||
      b.scores.match - a.scores.match,
  );
  const certain = best.filter(({ rule }) => applied.has(rule.id)).length;
  const past = best.filter(cameOn).length;
  const told = Math.max(certain, toldMin, Math.min(past, pastRetrievalMax));
  return best.slice(0, told).map((candidate) =>
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
      reason: candidate.reason.slice(0, reasonLengthMax),
      distance: rounded(candidate.distance),
      transient: isTransient(candidate.rule),
    }),
  );
}

/** Whether it came past retrieval, so that others than its scores have had a word on it. */
function cameOn({ eliminatedBy, judge, rerank }: RuleCandidate): boolean {
  return !ofRetrieval.has(eliminatedBy) || judge !== undefined || rerank !== undefined;
}

const ofRetrieval = new Set([
  "disabled",
  "scope",
  "fires",
  "cooldown",
  "one_shot",
  "guard",
  "selection",
]);

export function scenarioRecords(candidates: readonly ScenarioCandidate[]): ScenarioRecord[] {
  return candidates
    .toSorted((a, b) => b.scores.match - a.scores.match)
    .map(({ scenario, scores, reason }) =>
      create(ScenarioCandidateSchema, {
        scenarioId: scenario.id,
        name: scenario.name,
        scores: scoresOf(scores),
        reason,
      }),
    );
}

function scoresOf(scores: MatchScore): Record<string, number> {
  return Object.fromEntries(Object.entries(scores).map(([part, score]) => [part, rounded(score)]));
}

function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
