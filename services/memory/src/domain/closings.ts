import type { Fact } from "./facts.ts";

/** How many facts a batch of claims may end before a person has to look at it. */
export interface ClosingLimits {
  readonly factsMax: number;
  /** Of the facts that hold in the group, over 0 to 1. */
  readonly shareMax: number;
}

/** Of fewer facts than this a share says nothing: whoever moves house ends one of three. */
const sharedFrom = 10;

/** Facts that were open and are not any more. */
export function factsEnded(before: readonly Fact[], after: readonly Fact[]): number {
  const open = openFacts(after);
  return [...openFacts(before)].filter((factId) => !open.has(factId)).length;
}

/** Whether so many are more than the limits allow, of those that held in the group. */
export function endsTooMany(ended: number, held: number, limits: ClosingLimits): boolean {
  return ended > limits.factsMax || (held >= sharedFrom && ended > held * limits.shareMax);
}

function openFacts(facts: readonly Fact[]): ReadonlySet<string> {
  const open = facts.filter(({ to, disputed }) => to === Infinity && !disputed);
  return new Set(open.map(({ factId }) => factId));
}
