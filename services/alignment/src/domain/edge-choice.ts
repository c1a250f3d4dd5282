import type { Step } from "@soldier/proto/config/v1/scenario";
import type { CompiledScenario, Edge } from "./compiled-bundle.ts";
import type { Move, NavigationQuestion } from "./navigation-question.ts";

export interface EdgeChoice {
  readonly taken:
    | { readonly edge: Edge; readonly score: number; readonly reason: string }
    | undefined;
  readonly moves: readonly Move[];
  /** How many edges the step has. */
  readonly edges: number;
  /** Some edges could have been meant, and none of them is even plausible. */
  readonly implausible: boolean;
  /** Why it stays, when it stays. */
  readonly reason: string;
}

interface Considered {
  readonly edge: Edge;
  readonly score: number;
  /** By what the edge would be taken; undefined when it can't be. */
  readonly by: "guard" | "message" | "judgement" | "default" | undefined;
  readonly reason: string;
}

/**
 * The edge to take from a step, if any. With the customer's message: an edge that a model chose, else
 * the best that its guard or the message speaks for, else one that only waited for the step's own
 * business. Unattended: only edges that need nothing of the customer.
 */
export function chooseEdge(
  scenario: CompiledScenario,
  step: Step,
  question: NavigationQuestion,
  mode: "message" | "unattended" = "message",
): EdgeChoice {
  const edges = scenario.edges.filter(({ fromStepId }) => fromStepId === step.id);
  const open = edges.map((edge) => ({ edge, shut: shut(edge, scenario, question) }));
  const onlyWay = open.filter((each) => each.shut === undefined).length === 1;
  const considered = open.map(({ edge, shut: reason }): Considered => {
    if (reason !== undefined) return { edge, score: 0, by: undefined, reason };
    return mode === "message"
      ? withMessage(edge, step, question)
      : unattended(edge, step, question, onlyWay);
  });
  const { taken, reason } = best(considered, question);
  const scored = considered.filter(({ edge, by }) => edge.transition.condition && by !== "guard");
  return {
    taken,
    reason,
    edges: edges.length,
    implausible:
      scored.length > 0 && scored.every(({ score }) => score < question.settings.sanity_threshold),
    moves: considered.map((each) => ({
      kind: "edge",
      id: each.edge.id,
      toStepId: each.edge.toStepId,
      score: each.score,
      taken: each.edge === taken?.edge,
      reason: each.edge === taken?.edge ? taken.reason : each.by ? reason : each.reason,
    })),
  };
}

/** Why an edge can't be taken whatever is said. */
function shut(
  { transition, toStepId }: Edge,
  scenario: CompiledScenario,
  question: NavigationQuestion,
): string | undefined {
  const guard = question.holds(transition.guard);
  if (!guard.holds) return guard.error ? `guard: ${guard.error}` : "its guard is false";
  const target = scenario.steps.get(toStepId);
  if (!target) return "it leads nowhere";
  const missing = target.requiredFields.filter((need) => !question.knows(need));
  if (missing.length > 0) return `needs ${missing.map(({ field }) => field).join(", ")}`;
  const { loop_window_turns, step_visits_max } = question.settings;
  const recent = question.visits.filter(
    ({ stepId, scenarioId, turn }) =>
      stepId === toStepId &&
      scenarioId === scenario.scenario.id &&
      turn > question.turn - loop_window_turns,
  );
  if (recent.length >= step_visits_max)
    return `loop: ${recent.length} visits within ${loop_window_turns} turns`;
  return undefined;
}

function withMessage(edge: Edge, step: Step, question: NavigationQuestion): Considered {
  const { judged, settings } = question;
  const { condition, guard } = edge.transition;
  if (judged?.kind === "edge" && judged.id === edge.id)
    return { edge, score: judged.confidence, by: "judgement", reason: "judged to be meant" };
  if (!condition) {
    if (guard) return { edge, score: 1, by: "guard", reason: "its guard is true" };
    const waits = waitsFor(step, question);
    if (waits) return { edge, score: 0, by: undefined, reason: waits };
    return { edge, score: 1, by: "default", reason: "the step's business is done" };
  }
  const score = question.edgeScore(edge);
  const { transition_threshold } = settings;
  if (judged && judged.kind !== "entry")
    return { edge, score, by: undefined, reason: "judged not to be meant" };
  if (score >= transition_threshold)
    return {
      edge,
      score,
      by: "message",
      reason: `${score.toFixed(2)} reaches ${transition_threshold}`,
    };
  return {
    edge,
    score,
    by: undefined,
    reason: `${score.toFixed(2)} is below ${transition_threshold}`,
  };
}

/** What a step without a condition to leave it still waits for. */
function waitsFor(step: Step, question: NavigationQuestion): string | undefined {
  const unknown = step.collects.filter((field) => !question.knows({ field, verified: false }));
  if (unknown.length > 0) return `waits for ${unknown.join(", ")}`;
  if (step.toolIds.length > 0 && !question.toolsDone(step)) return "its tools have not answered";
  if (step.collects.length === 0 && step.toolIds.length === 0 && question.digression)
    return "the customer speaks of something else";
  return undefined;
}

function unattended(
  edge: Edge,
  step: Step,
  question: NavigationQuestion,
  onlyWay: boolean,
): Considered {
  const { condition, guard } = edge.transition;
  const known = step.collects.every((field) => question.knows({ field, verified: false }));
  const collected = step.collects.length > 0 && known;
  const worked = step.toolIds.length > 0 && question.toolsDone(step);
  if (!condition && guard) return { edge, score: 1, by: "guard", reason: "its guard is true" };
  if (!condition && known && (collected || worked))
    return { edge, score: 1, by: "default", reason: "everything is known that the step is for" };
  if (condition && step.skippable && collected && onlyWay)
    return { edge, score: 1, by: "default", reason: "the step may be skipped: its data is known" };
  return { edge, score: 0, by: undefined, reason: "needs the customer" };
}

function best(
  considered: readonly Considered[],
  { settings, judged }: NavigationQuestion,
): Pick<EdgeChoice, "taken" | "reason"> {
  const by = (...kinds: Considered["by"][]) =>
    considered
      .filter((each) => kinds.includes(each.by))
      .toSorted(
        (a, b) => b.edge.transition.priority - a.edge.transition.priority || b.score - a.score,
      );
  const judgement = by("judgement")[0];
  if (judgement) return { taken: judgement, reason: judgement.reason };
  if (judged?.kind === "exit") return { taken: undefined, reason: "judged to be leaving" };

  const [top, next] = by("guard", "message");
  if (top) {
    const close =
      top.by === "message" &&
      next?.by === "message" &&
      next.edge.transition.priority === top.edge.transition.priority &&
      top.score - next.score < settings.margin;
    if (close)
      return {
        taken: undefined,
        reason: `${top.edge.id} and ${next.edge.id} are within ${settings.margin}: stays`,
      };
    return { taken: top, reason: top.reason };
  }
  const fallback = by("default")[0];
  if (fallback && judged?.kind !== "stay") return { taken: fallback, reason: fallback.reason };
  return { taken: undefined, reason: "no edge is taken" };
}
