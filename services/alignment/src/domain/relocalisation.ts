import type { Step } from "@soldier/proto/config/v1/scenario";
import type { CompiledScenario } from "./compiled-bundle.ts";
import type { Move, NavigationQuestion } from "./navigation-question.ts";
import { loopAt, visitsOfRun } from "./visits.ts";

const hopsMax = 3;
const candidatesMax = 10;

export interface Relocalisation {
  readonly moves: readonly Move[];
  readonly found: { readonly stepId: string; readonly score: number } | undefined;
}

/**
 * The step that the message fits best, among those near the last place that still exists, those that
 * may be come to from anywhere, and those that may be skipped; none when no fit is good enough.
 *
 * What closes an edge closes a candidate, too: being lost opens no way that was shut. And a checkpoint
 * is neither done nor undone by it.
 */
export function relocalised(
  scenario: CompiledScenario,
  question: NavigationQuestion,
): Relocalisation {
  const { relocalisation_threshold } = question.settings;
  const scored = candidates(scenario, question)
    .map((stepId) => ({ stepId, score: fit(scenario, stepId, question) }))
    .toSorted((a, b) => b.score - a.score);
  const best = scored[0];
  const found = best && best.score >= relocalisation_threshold ? best : undefined;
  const moves = scored.map(({ stepId, score }): Move => {
    const taken = stepId === found?.stepId;
    const reason = `${score.toFixed(2)} ${score >= relocalisation_threshold ? "reaches" : "is below"} ${relocalisation_threshold}`;
    return { kind: "relocalise", id: scenario.scenario.id, toStepId: stepId, score, taken, reason };
  });
  return { moves, found };
}

/** Nearest first, then in the author's order. */
function candidates(scenario: CompiledScenario, question: NavigationQuestion): readonly string[] {
  const { id } = scenario.scenario;
  const way = visitsOfRun(question.visits, id)
    .map(({ stepId }) => stepId)
    .filter((stepId) => scenario.steps.has(stepId));
  const lastGood = way.at(-1) ?? scenario.entry?.id ?? "";
  const steps = [...scenario.steps.values()];
  const named = new Set([
    ...near(scenario, lastGood, question),
    ...steps.filter((step) => step.reachableFromAnywhere).map((step) => step.id),
    ...steps.filter((step) => step.skippable).map((step) => step.id),
  ]);
  // Going back to before a checkpoint that was passed would undo it.
  const passedAt = way.findIndex((stepId) => scenario.steps.get(stepId)?.checkpoint);
  const before = new Set(passedAt < 0 ? [] : way.slice(0, passedAt + 1));
  const since = new Set(passedAt < 0 ? [] : way.slice(passedAt + 1));
  return [...named]
    .filter((stepId) => {
      const step = scenario.steps.get(stepId);
      if (!step || stepId === question.position?.stepId) return false;
      if (before.has(stepId) && !since.has(stepId)) return false;
      return isOpen(step, question) && loopAt(id, stepId, question) === undefined;
    })
    .slice(0, candidatesMax);
}

function isOpen(step: Step, { knows }: NavigationQuestion): boolean {
  if (step.checkpoint && !step.reachableFromAnywhere) return false;
  return step.requiredFields.every((need) => knows(need));
}

/** Steps that so few open edges lead to, nearest first; not past an act that was not done. */
function near(
  scenario: CompiledScenario,
  start: string,
  { holds }: NavigationQuestion,
): readonly string[] {
  const found = new Set([start]);
  let rim = [start];
  for (let hop = 0; hop < hopsMax; hop++) {
    const onward = rim.filter(
      (stepId) => stepId === start || !scenario.steps.get(stepId)?.checkpoint,
    );
    rim = scenario.edges
      .filter(({ fromStepId, toStepId }) => onward.includes(fromStepId) && !found.has(toStepId))
      .filter(({ transition }) => holds(transition.guard).holds)
      .map(({ toStepId }) => toStepId);
    for (const stepId of rim) found.add(stepId);
  }
  return [...found];
}

/** How well the message fits what leads to the step. */
function fit(scenario: CompiledScenario, stepId: string, question: NavigationQuestion): number {
  const ways = scenario.edges
    .filter(({ toStepId, transition }) => toStepId === stepId && transition.condition)
    .map((edge) => question.edgeScore(edge));
  const entry =
    scenario.entry?.id === stepId
      ? (question.entries.find(({ scenarioId }) => scenarioId === scenario.scenario.id)?.score ?? 0)
      : 0;
  return Math.max(0, entry, ...ways);
}
