import { clone } from "@bufbuild/protobuf";
import type { FieldRequirement, Step } from "@soldier/proto/config/v1/scenario";
import type { CustomerProfile } from "@soldier/proto/profile/v1/profile";
import { type SessionState, SessionStateSchema } from "@soldier/proto/session/v1/session";
import type { CompiledBundle } from "./compiled-bundle.ts";
import { bindingsOf } from "./expressions.ts";
import type { FoundField } from "./fields.ts";
import { isRecord, type Json, valueOf } from "./json.ts";
import type { KnownValues } from "./known-values.ts";
import type { Navigation, NavigationQuestion } from "./navigation-question.ts";

export interface Ground {
  readonly bundle: CompiledBundle;
  readonly state: SessionState;
  readonly known: KnownValues;
  readonly profile: CustomerProfile | undefined;
  readonly turnNumber: number;
}

/** The parts of a navigation's question that come from the turn and not from the message. */
export function groundOf({ bundle, state, known, profile, turnNumber }: Ground) {
  const bindings = bindingsOf(known);
  return {
    scenarioOf: (id) => bundle.scenariosById.get(id),
    position: state.position,
    visits: state.visits,
    lowConfidenceTurns: state.lowConfidenceTurns,
    turn: turnNumber,
    settings: bundle.settings.navigation,
    holds: (guard) => bundle.expressions.evaluate(guard, bindings),
    knows: (need) => knows(need, known, profile),
    toolsDone: (step) => toolsDone(step, known.results, bundle),
  } satisfies Partial<NavigationQuestion>;
}

/** Whether a field has a value, and when it must, a verified one. */
function knows(
  { field, verified }: Pick<FieldRequirement, "field" | "verified">,
  known: KnownValues,
  profile: CustomerProfile | undefined,
): boolean {
  if (verified)
    return known.profile[field] !== undefined && profile?.fields[field]?.verification !== undefined;
  return known.fields[field] !== undefined || known.profile[field] !== undefined;
}

/** Whether each of the step's tools has answered since the step was entered. */
export function toolsDone(
  step: Step,
  results: Readonly<Record<string, Json>>,
  bundle: CompiledBundle,
): boolean {
  return step.toolIds
    .flatMap((id) => bundle.toolsById.get(id) ?? [])
    .every(({ name }) => results[name] !== undefined && failureOf(results[name]) === undefined);
}

/** The mark that a failed tool leaves instead of a result, so that guards and later turns can see it. */
export function failureMark(reason: string): Json {
  return { tool_failed: reason };
}

export function failureOf(result: Json | undefined): string | undefined {
  const reason = isRecord(result) ? result["tool_failed"] : undefined;
  return typeof reason === "string" ? reason : undefined;
}

/** The state with what the customer gave for fields. */
export function withFields(state: SessionState, found: readonly FoundField[]): SessionState {
  if (found.length === 0) return state;
  const next = clone(SessionStateSchema, state);
  for (const { name, value } of found) next.fields[name] = valueOf(value);
  return next;
}

/** The state at the place that was come to. Entering a step forgets what its tools said before. */
export function arrivedAt(
  state: SessionState,
  navigation: Navigation,
  bundle: CompiledBundle,
): SessionState {
  const next = clone(SessionStateSchema, state);
  if (navigation.position) next.position = navigation.position;
  else delete next.position;
  next.visits = [...navigation.visits];
  next.lowConfidenceTurns = navigation.lowConfidenceTurns;
  const steps = bundle.scenariosById.get(navigation.position?.scenarioId ?? "")?.steps;
  for (const stepId of navigation.entered)
    for (const toolId of steps?.get(stepId)?.toolIds ?? []) {
      const name = bundle.toolsById.get(toolId)?.name;
      if (name !== undefined) delete next.toolResults[name];
    }
  return next;
}
