import { type StepVisit, VisitReason } from "@soldier/proto/session/v1/session";
import type { NavigationGround } from "./navigation-question.ts";

/** The part of a question that loops are seen by. */
export type Visited = Pick<NavigationGround, "visits" | "turn" | "settings">;

/** Why the step may not be entered once more; undefined while it may. */
export function loopAt(
  scenarioId: string,
  stepId: string,
  { visits, turn, settings: { loop_window_turns, step_visits_max } }: Visited,
): string | undefined {
  const recent = visits.filter(
    (visit) =>
      visit.scenarioId === scenarioId &&
      visit.stepId === stepId &&
      visit.turn > turn - loop_window_turns,
  );
  if (recent.length < step_visits_max) return undefined;
  return `loop: ${recent.length} visits of ${stepId} within ${loop_window_turns} turns`;
}

/** How many edges may still be followed in this turn without the customer. */
export function advancesLeft({ visits, turn, settings }: Visited): number {
  const made = visits.filter(
    (visit) => visit.turn === turn && visit.reason === VisitReason.AUTO_ADVANCE,
  );
  return settings.auto_advance_max - made.length;
}

/** The visits since the session came into the scenario that it is in, or was put there, oldest first. */
export function visitsOfRun(
  visits: readonly StepVisit[],
  scenarioId: string,
): readonly StepVisit[] {
  const last = (...reasons: VisitReason[]) =>
    visits.findLastIndex(
      (visit) => visit.scenarioId === scenarioId && reasons.includes(visit.reason),
    );
  // An operator who puts a session somewhere has decided what of the way before still counts: nothing.
  const start = Math.max(last(VisitReason.ENTRY, VisitReason.OVERRIDE), last(VisitReason.EXIT) + 1);
  return visits
    .slice(start)
    .filter((visit) => visit.scenarioId === scenarioId && visit.stepId !== "");
}
