import { type SessionState, type StepVisit, VisitReason } from "@soldier/proto/session/v1/session";
import type { CompiledBundle } from "./compiled-bundle.ts";
import type { Navigation } from "./navigation-question.ts";
import { copied } from "./session-state.ts";

/**
 * The fields that a scenario which begins anew has collected in its last run: they were about that run,
 * and are asked for again. A field that another scenario collects, too, stays when the session has been
 * there since. None when the navigation begins no scenario, or one for the first time.
 */
export function fieldsOfLastRun(
  before: Pick<SessionState, "visits" | "fields">,
  { visits, position }: Pick<Navigation, "visits" | "position">,
  { scenariosById }: Pick<CompiledBundle, "scenariosById">,
): readonly string[] {
  const id = position?.scenarioId ?? "";
  if (entriesOf(visits, id) <= entriesOf(before.visits, id)) return [];
  const last = before.visits.findLastIndex(({ scenarioId }) => scenarioId === id);
  if (last < 0) return [];
  const since = new Set(before.visits.slice(last).map(({ scenarioId }) => scenarioId));
  const collectedBy = (scenarioId: string) =>
    scenariosById.get(scenarioId)?.scenario.steps.flatMap(({ collects }) => collects) ?? [];
  const kept = new Set([...since].filter((other) => other !== id).flatMap(collectedBy));
  return [...new Set(collectedBy(id))].filter(
    (name) => before.fields[name] !== undefined && !kept.has(name),
  );
}

/** Visits that begin the scenario, of those of its latest turn: older ones may have been let go. */
function entriesOf(visits: readonly StepVisit[], id: string): number {
  const entries = visits.filter(
    ({ scenarioId, reason }) => scenarioId === id && reason === VisitReason.ENTRY,
  );
  const latest = entries.at(-1)?.turn ?? 0;
  return latest * turnsApart + entries.filter(({ turn }) => turn === latest).length;
}

/** More than a session keeps visits, so that a later turn is always more. */
const turnsApart = 1_000;

export function withoutFields(state: SessionState, names: readonly string[]): SessionState {
  if (names.length === 0) return state;
  const next = copied(state);
  for (const name of names) delete next.fields[name];
  return next;
}
