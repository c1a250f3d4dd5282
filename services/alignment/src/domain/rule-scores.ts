import type { Rule } from "@soldier/proto/config/v1/rule";
import { isIn, out, type RuleCandidate } from "./candidates.ts";
import { appliesUnasked } from "./rule-filters.ts";
import { compareRules } from "./rule-order.ts";
import type { TurnSettings } from "./turn-settings.ts";

type Settings = Pick<TurnSettings, "matching">;

/** How likely a candidate is by numbers alone. */
export function scoreOf({ rerank, scores }: RuleCandidate): number {
  return rerank ?? scores.match;
}

/** Applies without anyone's word: so likely, and nothing else explains the message better. */
export function isCertain(candidate: RuleCandidate, best: number, settings: Settings): boolean {
  return (
    candidate.spent === undefined &&
    scoreOf(candidate) >= settings.matching.certain_threshold &&
    !isBehind(candidate, best, settings)
  );
}

/**
 * Which rules apply where nobody but the scores is asked. `best` is the hybrid score of the best
 * explanation of the message; who is far behind it does not apply.
 */
export function byScores(
  candidates: readonly RuleCandidate[],
  best: number,
  settings: Settings,
): readonly RuleCandidate[] {
  const { match_threshold, lead } = settings.matching;
  return candidates.map(unasked).map((candidate) => {
    const score = scoreOf(candidate);
    if (!isIn(candidate) || candidate.judge !== undefined || appliesUnasked(candidate.rule))
      return candidate;
    if (candidate.spent) return out(candidate, "one_shot", "it was applied already");
    if (isBehind(candidate, best, settings)) {
      const distance = best - lead - candidate.scores.hybrid;
      return out(candidate, "lead", "something else explains the message better", distance);
    }
    if (score >= match_threshold)
      return { ...candidate, reason: `${score.toFixed(2)} reaches ${match_threshold}` };
    const reason = `${score.toFixed(2)} is below ${match_threshold}`;
    return out(candidate, "threshold", reason, match_threshold - score);
  });
}

/** The rules that are in, in the order of rules. */
export function matchedOf(candidates: readonly RuleCandidate[]): readonly Rule[] {
  return candidates
    .filter(isIn)
    .map(({ rule }) => rule)
    .toSorted(compareRules);
}

/** A hard constraint is in force wherever it may be meant. */
function isBehind({ rule, scores }: RuleCandidate, best: number, { matching }: Settings): boolean {
  return !rule.hardConstraint && scores.hybrid < best - matching.lead;
}

/** An always-on constraint is in whatever its score, unless something is against it. */
function unasked(candidate: RuleCandidate): RuleCandidate {
  const free = candidate.eliminatedBy === "" || candidate.eliminatedBy === "selection";
  if (!free || !appliesUnasked(candidate.rule)) return candidate;
  return { ...candidate, eliminatedBy: "", reason: "applies without being asked", distance: 0 };
}
