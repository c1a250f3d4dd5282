import type { Step } from "@soldier/proto/config/v1/scenario";
import { VisitReason } from "@soldier/proto/session/v1/session";
import type { CompiledScenario } from "./compiled-bundle.ts";
import { type EdgeChoice, edgeOnMessage, edgeUnattended, isSilent } from "./edge-choice.ts";
import type { NavigationGround, NavigationQuestion } from "./navigation-question.ts";
import { advancesLeft } from "./visits.ts";
import type { Walk } from "./walk.ts";

/**
 * Follows edges that need nothing of the customer: guards that are true, steps that have all that they
 * ask for, tools that have answered. At most so many in one turn, and round no loop for ever.
 */
export function advance(
  walk: Walk,
  question: NavigationGround | NavigationQuestion,
  mayLeave: (stepId: string) => boolean = (stepId) => walk.isFresh(stepId),
): void {
  for (;;) {
    const { position } = walk;
    const scenario = question.scenarioOf(position?.scenarioId ?? "");
    const step = scenario?.steps.get(position?.stepId ?? "");
    if (!scenario || !step || !mayLeave(step.id)) return;
    const { taken, moves, reason } = onward(walk, scenario, step, question);
    if (!taken) {
      const loop = moves.find((move) => move.reason.startsWith("loop"));
      if (loop) walk.halt({ ...loop, kind: "auto_advance" }, reason);
      return;
    }
    const { edge, score } = taken;
    const move = { kind: "auto_advance", id: edge.id, toStepId: edge.toStepId, score } as const;
    const { auto_advance_max } = question.settings;
    if (advancesLeft({ ...question, visits: walk.visits }) <= 0) {
      const why = `stops after ${auto_advance_max} moves without the customer`;
      return walk.halt({ ...move, taken: false, reason: why }, why);
    }
    walk.consider([{ ...move, taken: true, reason: taken.reason }]);
    walk.go(edge.toStepId, VisitReason.AUTO_ADVANCE, score, taken.reason, edge.id);
  }
}

function onward(
  walk: Walk,
  scenario: CompiledScenario,
  step: Step,
  question: NavigationGround | NavigationQuestion,
): EdgeChoice {
  const { position, visits } = walk;
  const ground = {
    ...question,
    position,
    visits,
    // What its tools said before it was entered belongs to another visit.
    toolsOf: (each: Step) =>
      walk.entered.includes(each.id) && each.toolIds.length > 0
        ? "waiting"
        : question.toolsOf(each),
  } satisfies NavigationGround;
  // A step with nothing to say can't wait for an answer: the message must tell where to go.
  if (isSilent(step, scenario, question) && "heard" in question && question.heard)
    return edgeOnMessage(scenario, step, { ...question, ...ground, judged: undefined });
  return edgeUnattended(scenario, step, ground);
}
