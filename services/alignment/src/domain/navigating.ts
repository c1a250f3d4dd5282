import { Scope } from "@soldier/proto/config/v1/rule";
import type { FieldRequirement, Step } from "@soldier/proto/config/v1/scenario";
import type { Tool } from "@soldier/proto/config/v1/tool";
import type { CustomerProfile } from "@soldier/proto/profile/v1/profile";
import type { SessionState } from "@soldier/proto/session/v1/session";
import type { CompiledBundle } from "./compiled-bundle.ts";
import { bindingsOf } from "./expressions.ts";
import type { FoundField } from "./fields.ts";
import { isRecord, type Json, valueOf } from "./json.ts";
import type { KnownValues } from "./known-values.ts";
import type { Navigation, NavigationGround, ToolsOfStep } from "./navigation-question.ts";
import { copied } from "./session-state.ts";
import { overlaps } from "./tool-plan.ts";
import { dependsOn } from "./tool-results.ts";
import { movedTo } from "./turn-values.ts";

export interface Ground {
  readonly bundle: CompiledBundle;
  readonly state: SessionState;
  readonly known: KnownValues;
  readonly profile: CustomerProfile | undefined;
  readonly turnNumber: number;
}

/** The parts of a navigation's question that come from the turn and not from the message. */
export function groundOf({ bundle, state, known, profile, turnNumber }: Ground): NavigationGround {
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
    toolsOf: (step) => toolsOf(step, known.results, state.toolsDone, bundle),
    isRuled: ({ id: stepId }, { scenario: { id } }) => isRuled(stepId, id, bundle),
    takes: (step, field) =>
      step.toolIds
        .flatMap((id) => bundle.toolsById.get(id) ?? [])
        .some((tool) => dependsOn(tool, field)),
  };
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

function isRuled(stepId: string, scenarioId: string, { rules, unnamedTemplates }: CompiledBundle) {
  const own = [...rules, ...unnamedTemplates.map(({ template }) => template)];
  return own.some(
    (thing) =>
      thing.scope === Scope.STEP && thing.stepId === stepId && thing.scenarioId === scenarioId,
  );
}

/** How far the step's tools are since it was entered. */
function toolsOf(
  step: Step,
  results: Readonly<Record<string, Json>>,
  done: readonly string[],
  bundle: CompiledBundle,
): ToolsOfStep {
  const tools = step.toolIds.flatMap((id) => bundle.toolsById.get(id) ?? []);
  if (tools.length === 0) return "none";
  // Of tools that overlap one is enough; not every result is kept.
  const answered = ({ id, name }: Tool) => results[name] !== undefined || done.includes(id);
  const settled = (tool: Tool) =>
    answered(tool) || tools.some((other) => overlaps(tool, other) && answered(other));
  if (!tools.every(settled)) return "waiting";
  return tools.some(({ name }) => failureOf(results[name]) !== undefined) ? "failed" : "done";
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
  const next = copied(state);
  for (const { name, value } of found) next.fields[name] = valueOf(value);
  return next;
}

/** The state at the place that was come to. Entering a step forgets what its tools said before. */
export function arrivedAt(
  state: SessionState,
  navigation: Navigation,
  bundle: CompiledBundle,
): SessionState {
  const next = copied(state);
  if (navigation.position) next.position = navigation.position;
  else delete next.position;
  next.visits = [...navigation.visits];
  next.lowConfidenceTurns = navigation.lowConfidenceTurns;
  if (navigation.entered.length > 0) next.toolsDone = [];
  for (const name of forgottenBy(navigation, bundle)) delete next.toolResults[name];
  return next;
}

/** What is known at the place that was come to. */
export function knownAt(
  known: KnownValues,
  state: SessionState,
  navigation: Navigation,
  bundle: CompiledBundle,
): KnownValues {
  const forgotten = forgottenBy(navigation, bundle);
  const results = Object.fromEntries(
    Object.entries(known.results).filter(([name]) => !forgotten.has(name)),
  );
  return { ...movedTo(known, state, bundle), results };
}

/** The tools whose results belong to earlier visits of what was entered, by name. */
function forgottenBy(
  { entered, position }: Pick<Navigation, "entered" | "position">,
  bundle: CompiledBundle,
): ReadonlySet<string> {
  // Whatever scenario was left before: steps are only entered in the one that the session is in now.
  const steps = bundle.scenariosById.get(position?.scenarioId ?? "")?.steps;
  const tools = entered.flatMap((stepId) => steps?.get(stepId)?.toolIds ?? []);
  return new Set(tools.flatMap((id) => bundle.toolsById.get(id)?.name ?? []));
}
