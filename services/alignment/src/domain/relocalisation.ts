import type { StepVisit } from "@soldier/proto/session/v1/session";
import type { CompiledScenario } from "./compiled-bundle.ts";
import type { Move, NavigationQuestion } from "./navigation-question.ts";

const hopsMax = 3;
const candidatesMax = 10;

/**
 * The step that the message fits best, among those near the last place that still exists, those that
 * may be come to from anywhere, and those that may be skipped; none when no fit is good enough.
 */
export function relocalised(
  scenario: CompiledScenario,
  visits: readonly StepVisit[],
  question: NavigationQuestion,
): {
  readonly moves: readonly Move[];
  readonly found: { stepId: string; score: number } | undefined;
} {
  const { relocalisation_threshold } = question.settings;
  const current = question.position?.stepId ?? "";
  const lastGood = visits.findLast(
    ({ scenarioId, stepId }) => scenarioId === scenario.scenario.id && scenario.steps.has(stepId),
  )?.stepId;
  const steps = [...scenario.steps.values()];
  const candidates = new Set([
    ...within(scenario, lastGood),
    ...steps.filter((step) => step.reachableFromAnywhere).map(({ id }) => id),
    ...steps.filter((step) => step.skippable).map(({ id }) => id),
  ]);
  candidates.delete(current);
  const scored = [...candidates]
    .slice(0, candidatesMax)
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

/** Steps that so few edges lead to, nearest first. */
function within(scenario: CompiledScenario, start: string | undefined): readonly string[] {
  if (start === undefined) return [];
  const found = new Set([start]);
  let edge = [start];
  for (let hop = 0; hop < hopsMax; hop++) {
    edge = scenario.edges
      .filter(({ fromStepId, toStepId }) => edge.includes(fromStepId) && !found.has(toStepId))
      .map(({ toStepId }) => toStepId)
      .filter((stepId) => scenario.steps.has(stepId));
    for (const stepId of edge) found.add(stepId);
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
