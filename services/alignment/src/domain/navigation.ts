import type { Step } from "@soldier/proto/config/v1/scenario";
import { VisitReason } from "@soldier/proto/session/v1/session";
import type { CompiledScenario } from "./compiled-bundle.ts";
import { chooseEdge } from "./edge-choice.ts";
import type { Move, Navigation, NavigationQuestion } from "./navigation-question.ts";
import { relocalised } from "./relocalisation.ts";
import { Walk } from "./walk.ts";

/**
 * Where a session is after a message. In no scenario, or in one at one step, before and after; every
 * change is a visit with its reason, and every move that was thought of is told.
 */
export function navigate(question: NavigationQuestion): Navigation {
  const walk = new Walk(question);
  const here = walk.position;
  if (here) {
    const scenario = question.scenarioOf(here.scenarioId);
    const step = scenario?.steps.get(here.stepId);
    if (!scenario) walk.exit(1, "the scenario is gone");
    else if (!step) relocalise(walk, scenario, question, "the step is gone");
    else moveOn(walk, scenario, step, question);
  }
  if (!walk.position && !walk.left) enter(walk, question);
  advance(walk, question);
  return walk.end();
}

/**
 * Goes on from where a session is without the customer, as far as guards and known data allow: after
 * a step's tools have run.
 */
export function goOn(question: NavigationQuestion): Navigation {
  const walk = new Walk(question);
  const here = walk.position?.stepId;
  advance(walk, question, (stepId) => stepId === here || walk.isFresh(stepId));
  return walk.end();
}

function moveOn(
  walk: Walk,
  scenario: CompiledScenario,
  step: Step,
  question: NavigationQuestion,
): void {
  const choice = chooseEdge(scenario, step, question);
  walk.consider(choice.moves);
  if (choice.taken) {
    const { edge, score, reason } = choice.taken;
    walk.go(edge.toStepId, VisitReason.TRANSITION, score, reason, edge.id);
    walk.lowConfidenceTurns = 0;
    return;
  }
  if (question.judged?.kind === "entry" && question.judged.id !== scenario.scenario.id) {
    walk.exit(question.judged.confidence, "the customer begins something else");
    return;
  }
  const exit = question.judged?.kind === "exit" ? question.judged.confidence : question.exitSignal;
  if (exit >= exitThreshold) {
    walk.exit(exit, "the customer wants to leave it", true);
    return;
  }
  if (choice.edges === 0) {
    // Over: what the customer says now may begin something else.
    if (step.terminal) walk.exit(1, "the step is terminal");
    else walk.stay("the step has no way out");
    return;
  }
  walk.lowConfidenceTurns =
    choice.implausible && !question.digression ? walk.lowConfidenceTurns + 1 : 0;
  const { low_confidence_turns_max } = question.settings;
  if (walk.lowConfidenceTurns >= low_confidence_turns_max)
    relocalise(
      walk,
      scenario,
      question,
      `${low_confidence_turns_max} turns without a plausible edge`,
    );
  else walk.stay(choice.reason);
}

/** A signal to leave is followed from here on. */
const exitThreshold = 0.8;

function relocalise(
  walk: Walk,
  scenario: CompiledScenario,
  question: NavigationQuestion,
  why: string,
): void {
  walk.lowConfidenceTurns = 0;
  const { moves, found } = relocalised(scenario, walk.visits, question);
  walk.consider(moves);
  if (found)
    walk.go(found.stepId, VisitReason.RELOCALISATION, found.score, `${why}; found again here`);
  else walk.exit(1, `${why}, and no step fits well enough`);
}

function enter(walk: Walk, question: NavigationQuestion): void {
  const { entry_threshold } = question.settings;
  const judged = question.judged?.kind === "entry" ? question.judged : undefined;
  const candidates = question.entries
    .map((entry) =>
      judged?.id === entry.scenarioId ? { ...entry, score: judged.confidence } : entry,
    )
    .toSorted((a, b) => b.score - a.score);
  const moves: Move[] = [];
  let taken = false;
  for (const { scenarioId, score } of candidates) {
    const scenario = question.scenarioOf(scenarioId);
    if (!scenario?.entry) continue;
    const refusal =
      closed(scenario, question) ??
      (score < entry_threshold ? `${shown(score)} is below ${entry_threshold}` : undefined) ??
      (judged && judged.id !== scenarioId ? "judged not to start" : undefined) ??
      (question.judged?.kind === "stay" ? "judged not to start" : undefined);
    const starts = !taken && refusal === undefined;
    moves.push({
      kind: "entry",
      id: scenarioId,
      toStepId: scenario.entry.id,
      score,
      taken: starts,
      reason:
        refusal ?? (starts ? `${shown(score)} reaches ${entry_threshold}` : "another is better"),
    });
    if (starts) {
      taken = true;
      walk.start(scenario, scenario.entry.id, score);
    }
  }
  walk.consider(moves);
  if (!taken) walk.stay("no scenario starts");
}

/** Why a scenario can't start, whatever its score. */
function closed(
  { scenario, entry }: CompiledScenario,
  question: NavigationQuestion,
): string | undefined {
  if (scenario.disabled) return "disabled";
  if (question.blocked.has(scenario.id)) return "overridden";
  const guard = question.holds(scenario.entryGuard);
  if (!guard.holds) return guard.error ? `guard: ${guard.error}` : "its guard is false";
  const needs = [
    ...scenario.requiredFields.map((field) => ({ field, verified: false })),
    ...(entry?.requiredFields ?? []),
  ];
  const missing = needs.filter((need) => !question.knows(need)).map(({ field }) => field);
  return missing.length > 0 ? `needs ${missing.join(", ")}` : undefined;
}

/** Follows edges that need nothing of the customer, at most so many. */
function advance(
  walk: Walk,
  question: NavigationQuestion,
  mayLeave: (stepId: string) => boolean = (stepId) => walk.isFresh(stepId),
): void {
  for (let i = 0; i < question.settings.auto_advance_max; i++) {
    const here = walk.position;
    const scenario = here && question.scenarioOf(here.scenarioId);
    const step = scenario?.steps.get(here?.stepId ?? "");
    if (!scenario || !step || !mayLeave(step.id)) return;
    // What its tools said before it was entered belongs to another visit.
    const waits = walk.entered.includes(step.id) || !question.toolsDone(step);
    if (step.toolIds.length > 0 && waits) return;
    const choice = chooseEdge(scenario, step, { ...question, visits: walk.visits }, "unattended");
    if (!choice.taken) return;
    const { edge, reason } = choice.taken;
    walk.consider([
      { kind: "auto_advance", id: edge.id, toStepId: edge.toStepId, score: 1, taken: true, reason },
    ]);
    walk.go(edge.toStepId, VisitReason.AUTO_ADVANCE, 1, reason, edge.id);
  }
}

function shown(score: number): string {
  return score.toFixed(2);
}
