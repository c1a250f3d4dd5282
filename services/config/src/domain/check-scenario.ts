import type { Scenario, Step, Transition } from "@soldier/proto/config/v1/scenario";
import { type Notes, unknownName } from "./problem.ts";
import { checkExpression, type Vocabulary } from "./vocabulary.ts";

/** Notes what is wrong with a scenario's texts, fields and graph. */
export function checkScenario(scenario: Scenario, notes: Notes, known: Vocabulary): void {
  checkExpression(notes, "entry_guard", scenario.entryGuard, known);
  for (const [i, name] of scenario.requiredFields.entries())
    if (!known.fields.has(name))
      notes.wrong(
        `required_fields[${i}]`,
        "NAME_UNKNOWN",
        unknownName("field", name, known.fields),
      );
  for (const [i, step] of scenario.steps.entries()) checkStep(step, `steps[${i}]`, notes, known);
  checkGraph(scenario, notes);
}

function checkStep(step: Step, field: string, notes: Notes, known: Vocabulary): void {
  for (const [i, required] of step.requiredFields.entries())
    if (!known.fields.has(required.field)) {
      const place = `${field}.required_fields[${i}].field`;
      notes.wrong(place, "NAME_UNKNOWN", unknownName("field", required.field, known.fields));
    }
  const ids = new Set<string>();
  let unasked: Transition | undefined;
  for (const [i, transition] of step.transitions.entries()) {
    const place = `${field}.transitions[${i}]`;
    if (ids.has(transition.id)) {
      const text = `step "${step.id}" has two transitions "${transition.id}"`;
      notes.wrong(`${place}.id`, "DUPLICATE_TRANSITION", text);
    }
    ids.add(transition.id);
    checkExpression(notes, `${place}.guard`, transition.guard, known);
    if (unasked !== undefined && isUnasked(transition) && transition.priority <= unasked.priority) {
      const text = `is never taken: "${unasked.id}" comes first, and needs nothing either`;
      notes.doubtful(place, "NEVER_TAKEN", text);
    } else if (isUnasked(transition)) unasked = transition;
  }
}

/** Followed as soon as the step is done, whatever is said. */
function isUnasked({ condition, guard, examples }: Transition): boolean {
  return !condition && !guard && examples.length === 0;
}

function checkGraph(scenario: Scenario, notes: Notes): void {
  const steps = new Map<string, Step>();
  for (const [i, step] of scenario.steps.entries()) {
    if (steps.has(step.id))
      notes.wrong(`steps[${i}].id`, "DUPLICATE_STEP", `there are two steps "${step.id}"`);
    else steps.set(step.id, step);
  }
  for (const [i, step] of scenario.steps.entries())
    for (const [j, { toStepId }] of step.transitions.entries())
      if (!steps.has(toStepId)) {
        const text = unknownName("step", toStepId, steps.keys());
        notes.wrong(`steps[${i}].transitions[${j}].to_step_id`, "STEP_UNKNOWN", text);
      }
  if (!steps.has(scenario.entryStepId)) {
    const text = unknownName("step", scenario.entryStepId, steps.keys());
    return notes.wrong("entry_step_id", "STEP_UNKNOWN", text);
  }
  checkReach(scenario, steps, notes);
}

function checkReach(scenario: Scenario, steps: ReadonlyMap<string, Step>, notes: Notes): void {
  const onward = (id: string) => steps.get(id)?.transitions.map(({ toStepId }) => toStepId) ?? [];
  const fromEntry = reachable([scenario.entryStepId], onward);
  const anywhere = scenario.steps.filter((step) => step.reachableFromAnywhere).map(({ id }) => id);
  const fromAnywhere = reachable([scenario.entryStepId, ...anywhere], onward);
  const back = new Map<string, string[]>();
  for (const step of steps.values())
    for (const next of onward(step.id)) back.set(next, [...(back.get(next) ?? []), step.id]);
  const terminals = scenario.steps.filter(({ terminal }) => terminal).map(({ id }) => id);
  const ends = reachable(terminals, (id) => back.get(id) ?? []);
  for (const [i, step] of scenario.steps.entries()) {
    if (!fromAnywhere.has(step.id)) {
      const text = `step "${step.id}" can't be reached from step "${scenario.entryStepId}": add a transition to it, or set reachable_from_anywhere`;
      notes.wrong(`steps[${i}]`, "STEP_UNREACHABLE", text);
    } else if (fromEntry.has(step.id) && !ends.has(step.id)) {
      const text = `no terminal step comes after "${step.id}"`;
      notes.doubtful(`steps[${i}]`, "NO_WAY_OUT", text);
    }
  }
  if (!terminals.some((id) => fromEntry.has(id))) {
    const text = `no terminal step can be reached from step "${scenario.entryStepId}": set terminal on the last step`;
    notes.wrong("steps", "NO_TERMINAL", text);
  }
}

/** Everything that can be reached from the starts, with them. */
function reachable(
  starts: readonly string[],
  next: (id: string) => readonly string[],
): ReadonlySet<string> {
  const seen = new Set(starts);
  // A set grows while it is walked: each step is visited once.
  for (const id of seen) for (const other of next(id)) seen.add(other);
  return seen;
}
