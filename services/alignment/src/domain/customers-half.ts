import { RuleApplication } from "@soldier/proto/config/v1/rule";
import type { SessionState } from "@soldier/proto/session/v1/session";
import { isIn, out, type RuleCandidate } from "./candidates.ts";
import { appliesUnasked } from "./rule-filters.ts";

/**
 * What becomes, where scores decide, of rules that asked something of the customer in the last turn.
 * A message that something else explains leaves them waiting, and they ask once more; any other is
 * taken for what they waited for, and they are done until there is a new reason.
 */
export function customersHalf(
  candidates: readonly RuleCandidate[],
  { state, turnNumber }: { readonly state: SessionState; readonly turnNumber: number },
): readonly RuleCandidate[] {
  const isOwed = ({ rule, judge }: RuleCandidate) =>
    rule.application === RuleApplication.CUSTOMER_DEPENDENT &&
    judge === undefined &&
    state.ruleFires[rule.id]?.lastTurn === turnNumber - 1 &&
    !state.appliedRuleIds.includes(rule.id);
  if (!candidates.some(isOwed)) return candidates;
  const isElse = candidates.some(
    (each) => isIn(each) && !isOwed(each) && !appliesUnasked(each.rule),
  );
  return candidates.map((candidate) => {
    // A rule that is out of scope or shut by its guard asks nothing, whatever it is owed.
    if (!isOwed(candidate) || !byMessage.has(candidate.eliminatedBy)) return candidate;
    if (!isElse)
      return out({ ...candidate, eliminatedBy: "" }, "one_shot", "the customer has answered it");
    const reason = "it still waits for the customer";
    return { ...candidate, eliminatedBy: "", reason, distance: 0, held: true };
  });
}

/** Stages that speak of this message, or of when the rule fired. */
const byMessage = new Set(["", "selection", "threshold", "lead", "cooldown"]);
