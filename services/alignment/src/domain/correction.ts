import type { Step } from "@soldier/proto/config/v1/scenario";
import type { CompiledScenario } from "./compiled-bundle.ts";
import type { NavigationQuestion } from "./navigation-question.ts";
import { loopAt, visitsOfRun } from "./visits.ts";

/** An answer that the message changes, and the step that the way has to be decided again from. */
export interface Correction {
  readonly field: string;
  readonly stepId: string;
  /** "checkpoint" and "loop" keep the session where it is. */
  readonly outcome: "back" | "loop" | "checkpoint";
  readonly reason: string;
}

/**
 * Where a changed answer leads back to: the first step of the way here whose branch or tools depend on
 * it, when a step of the way had asked for it. Nothing, when nothing that was decided depends on it.
 */
export function correctionOf(
  scenario: CompiledScenario,
  question: Pick<
    NavigationQuestion,
    "position" | "visits" | "corrects" | "takes" | "turn" | "settings"
  >,
): Correction | undefined {
  const here = question.position?.stepId ?? "";
  const way = wayTo(scenario, here, question);
  const isChanged = (field: string) =>
    question.corrects.includes(field) && way.some(({ collects }) => collects.includes(field));
  for (const [i, step] of way.entries()) {
    const field = question.corrects.find(
      (each) => isChanged(each) && decidesBy(scenario, step, each, question),
    );
    if (field === undefined) continue;
    const passed = way.slice(i).find(({ checkpoint }) => checkpoint);
    if (passed)
      return {
        field,
        stepId: step.id,
        outcome: "checkpoint",
        reason: `${field} is another now, but the checkpoint ${passed.id} was passed with it`,
      };
    // Standing at the step, its edges are looked at again anyway.
    if (step.id === here) return undefined;
    const loop = loopAt(scenario.scenario.id, step.id, question);
    if (loop) return { field, stepId: step.id, outcome: "loop", reason: loop };
    const reason = `${field} is another now: decided again from ${step.id}`;
    return { field, stepId: step.id, outcome: "back", reason };
  }
  return undefined;
}

/** The steps that the session came through, each once, in the order of its first visit. */
function wayTo(
  scenario: CompiledScenario,
  here: string,
  { visits }: Pick<NavigationQuestion, "visits">,
): readonly Step[] {
  const ids = visitsOfRun(visits, scenario.scenario.id).map(({ stepId }) => stepId);
  return [...new Set([...ids, here])].flatMap((id) => scenario.steps.get(id) ?? []);
}

function decidesBy(
  scenario: CompiledScenario,
  step: Step,
  field: string,
  { takes }: Pick<NavigationQuestion, "takes">,
): boolean {
  const edges = scenario.edges.filter(({ fromStepId }) => fromStepId === step.id);
  return takes(step, field) || edges.some(({ transition }) => mentions(transition.guard, field));
}

/** Whether an expression looks at the field: as .name or as ["name"]. */
function mentions(guard: string, field: string): boolean {
  const name = field.replaceAll(/[^\w]/g, String.raw`\$&`);
  return new RegExp(String.raw`\.\s*${name}\b|\[\s*(["'])${name}\1\s*\]`).test(guard);
}
