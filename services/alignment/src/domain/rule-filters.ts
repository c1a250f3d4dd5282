import { type Rule, RuleApplication } from "@soldier/proto/config/v1/rule";
import type { RuleFires } from "@soldier/proto/session/v1/session";
import type { Verdict } from "./expressions.ts";
import { inScope, isGlobal, type Place } from "./scope.ts";

/** Why a rule is no candidate in this turn, and by how much. */
export interface Exclusion {
  /** As in the turn record: "disabled", "scope", "fires", "cooldown", "one_shot", "guard". */
  readonly by: string;
  readonly reason: string;
  /** How far it was from passing, in the filter's own unit; 0 where there is no degree. */
  readonly distance: number;
}

export interface FilterQuestion {
  readonly place: Place;
  readonly turn: number;
  readonly fires: Readonly<Record<string, RuleFires>>;
  /** One-shot rules that were applied, and others whose customer has done their half. */
  readonly appliedOnce: ReadonlySet<string>;
  /** Whether something better than a score can tell a new reason from the old one. */
  readonly judged: boolean;
  readonly holds: (guard: string) => Verdict;
}

/** Whatever keeps a rule out before anyone asks whether its condition holds, cheapest first. */
export function exclusionOf(rule: Rule, question: FilterQuestion): Exclusion | undefined {
  const { place, turn, fires, judged, holds } = question;
  if (rule.disabled) return { by: "disabled", reason: "the rule is disabled", distance: 0 };
  if (!inScope(rule, place))
    return { by: "scope", reason: "the session is not in its scope", distance: 0 };

  const fired = fires[rule.id];
  const { firesPerSessionMax, cooldownTurns } = rule;
  if (fired && firesPerSessionMax > 0 && fired.count >= firesPerSessionMax)
    return {
      by: "fires",
      reason: `fired ${fired.count} times, at most ${firesPerSessionMax} in a session`,
      distance: fired.count - firesPerSessionMax + 1,
    };
  if (fired && turn - fired.lastTurn <= cooldownTurns)
    return {
      by: "cooldown",
      reason: `fired in turn ${fired.lastTurn}, then rests for ${cooldownTurns}`,
      distance: fired.lastTurn + cooldownTurns + 1 - turn,
    };
  if (isSpent(rule, question) && !judged)
    return { by: "one_shot", reason: "it was applied already", distance: 0 };

  const guard = holds(rule.guard);
  if (!guard.holds)
    return {
      by: "guard",
      reason: guard.error ? `its guard: ${guard.error}` : "its guard is false",
      distance: 0,
    };
  return undefined;
}

/**
 * Whether it was applied and its reason may be the same still. A turn in which its condition was not met
 * makes the next one a new reason; until then `lastTurn` is carried on (see nextState).
 */
export function isSpent(
  { id, application }: Rule,
  { fires, appliedOnce, turn }: Pick<FilterQuestion, "fires" | "appliedOnce" | "turn">,
): boolean {
  const isOnce =
    application === RuleApplication.ONE_SHOT || application === RuleApplication.CUSTOMER_DEPENDENT;
  return isOnce && appliedOnce.has(id) && (fires[id]?.lastTurn ?? 0) >= turn - 1;
}

/** In force in every turn, whatever it is about. */
export function isAlwaysOn(rule: Rule): boolean {
  return rule.alwaysOn && rule.hardConstraint && isGlobal(rule);
}

/** Applies without matching: an always-on constraint, or a rule whose place is its whole condition. */
export function appliesUnasked(rule: Rule): boolean {
  if (isAlwaysOn(rule)) return true;
  return !isGlobal(rule) && rule.condition.trim() === "" && rule.examples.length === 0;
}
