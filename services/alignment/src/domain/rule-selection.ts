import { select, type SelectionStrategy } from "@soldier/retrieval/selection";
import { isIn, out, type RuleCandidate } from "./candidates.ts";
import { isGlobal } from "./scope.ts";

/**
 * Which candidates go on: as many as the shape of their scores says, and with them whatever is in force
 * where the session is, hard constraints and rules of the scenario or step, since what these are about
 * need not be in the message's words. Who is left out learns by how much.
 */
export function selectRules(
  candidates: readonly RuleCandidate[],
  strategy: SelectionStrategy,
): readonly RuleCandidate[] {
  const ranked = candidates
    .filter(isIn)
    .toSorted((a, b) => b.scores.match - a.scores.match || (a.rule.id < b.rule.id ? -1 : 1));
  const { kept, reason } = select(
    ranked.map(({ scores: { match } }) => match),
    strategy,
  );
  const chosen = new Set(kept.flatMap((i) => ranked[i]?.rule.id ?? []));
  const bars = kept.map((i) => ranked[i]?.scores.match ?? 0); // descending
  return candidates.map((candidate) => {
    if (!isIn(candidate)) return candidate;
    const { match } = candidate.scores;
    if (chosen.has(candidate.rule.id)) return { ...candidate, reason };
    if (isInForce(candidate))
      return { ...candidate, reason: `in force here, whatever its score ${match.toFixed(2)}` };
    if (match < strategy.min_score) {
      const why = `${match.toFixed(2)} is below min_score ${strategy.min_score}`;
      return out(candidate, "selection", why, strategy.min_score - match);
    }
    const next = bars.findLast((bar) => bar >= match) ?? strategy.min_score;
    return out(candidate, "selection", reason, next - match);
  });
}

function isInForce({ rule }: RuleCandidate): boolean {
  return rule.hardConstraint || !isGlobal(rule);
}
