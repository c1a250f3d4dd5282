import type { Step } from "@soldier/proto/config/v1/scenario";
import type { CompiledScenario, Edge } from "./compiled-bundle.ts";
import type { Move, NavigationGround, NavigationQuestion } from "./navigation-question.ts";
import { loopAt } from "./visits.ts";

/** By what an edge is taken: a model's word, the message's score, its guard, or for want of a reason not to. */
export type EdgeGround = "judgement" | "message" | "guard" | "default";

export interface TakenEdge {
  readonly edge: Edge;
  readonly score: number;
  readonly by: EdgeGround;
  readonly reason: string;
}

export interface EdgeChoice {
  readonly taken: TakenEdge | undefined;
  readonly moves: readonly Move[];
  /** How many edges the step has. */
  readonly edges: number;
  /** The best score of an open edge's condition. */
  readonly bestScore: number;
  /** Some open edges could have been meant, and none of them is even plausible. */
  readonly implausible: boolean;
  /** Why none is taken, when none is. */
  readonly reason: string;
}

interface Considered {
  readonly edge: Edge;
  readonly score: number;
  /** Undefined when it can't be taken. */
  readonly by: EdgeGround | undefined;
  readonly reason: string;
  /** It is closed whatever is said. */
  readonly shut?: true;
  /** Set when its step was visited too often of late: when it is the one to take, the session stays. */
  readonly loop?: string | undefined;
}

/** The edge to take from a step on the customer's message, if any. */
export function edgeOnMessage(
  scenario: CompiledScenario,
  step: Step,
  question: NavigationQuestion,
): EdgeChoice {
  return chosen(scenario, step, question, (edge) => onMessage(edge, step, question));
}

/** The edge to follow from a step without the customer, if any. */
export function edgeUnattended(
  scenario: CompiledScenario,
  step: Step,
  ground: NavigationGround,
): EdgeChoice {
  return chosen(scenario, step, { ...ground, judged: undefined }, (edge, onlyWay) =>
    unattended(edge, { step, scenario }, ground, onlyWay),
  );
}

/** Nothing is said, asked or done at it: it only tells where to go. */
export function isSilent(
  step: Step,
  scenario: CompiledScenario,
  { isRuled }: Pick<NavigationGround, "isRuled">,
): boolean {
  const { instructions, collects, toolIds, templateIds, terminal } = step;
  const bare = !collects.length && !toolIds.length && !templateIds.length;
  return !terminal && instructions === "" && bare && !isRuled(step, scenario);
}

type Chosen = NavigationGround & Pick<NavigationQuestion, "judged">;

function chosen(
  scenario: CompiledScenario,
  step: Step,
  question: Chosen,
  consider: (edge: Edge, onlyWay: boolean) => Considered,
): EdgeChoice {
  const edges = scenario.edges.filter(({ fromStepId }) => fromStepId === step.id);
  const shutBy = new Map(edges.map((edge) => [edge, shut(edge, scenario, question)]));
  const onlyWay = edges.filter((edge) => shutBy.get(edge) === undefined).length === 1;
  const considered = edges.map((edge): Considered => {
    const reason = shutBy.get(edge);
    if (reason !== undefined) return { edge, score: 0, by: undefined, reason, shut: true };
    const open = consider(edge, onlyWay);
    const loop = open.by && loopAt(scenario.scenario.id, edge.toStepId, question);
    return { ...open, loop };
  });
  const { taken, reason } = best(considered, question);
  const scored = considered.filter(
    ({ edge, by, shut: isShut }) => edge.transition.condition && by !== "guard" && !isShut,
  );
  const bestScore = Math.max(0, ...scored.map(({ score }) => score));
  return {
    taken,
    reason,
    edges: edges.length,
    bestScore,
    implausible: scored.length > 0 && bestScore < question.settings.sanity_threshold,
    moves: considered.map((each) => ({
      kind: "edge",
      id: each.edge.id,
      toStepId: each.edge.toStepId,
      score: each.score,
      taken: each.edge === taken?.edge,
      reason: each.edge === taken?.edge || !each.by ? each.reason : (each.loop ?? reason),
    })),
  };
}

/** Why an edge can't be taken whatever is said. */
function shut(
  { transition, toStepId }: Edge,
  scenario: CompiledScenario,
  { holds, knows }: NavigationGround,
): string | undefined {
  const guard = holds(transition.guard);
  if (!guard.holds) return guard.error ? `guard: ${guard.error}` : "its guard is false";
  const target = scenario.steps.get(toStepId);
  if (!target) return "it leads nowhere";
  const missing = target.requiredFields.filter((need) => !knows(need));
  if (missing.length > 0) return `needs ${missing.map(({ field }) => field).join(", ")}`;
  return undefined;
}

const outdone = "a rule explains the message better";

function onMessage(edge: Edge, step: Step, question: NavigationQuestion): Considered {
  const { judged, settings } = question;
  const { condition, guard } = edge.transition;
  const { transition_threshold } = settings;
  if (judged?.kind === "edge" && judged.id === edge.id) {
    const { confidence: score } = judged;
    if (score >= transition_threshold)
      return { edge, score, by: "judgement", reason: "judged to be meant" };
    const reason = `judged to be meant, but ${score.toFixed(2)} is below ${transition_threshold}`;
    return { edge, score, by: undefined, reason };
  }
  if (!condition && guard) return byGuard(edge, step, question);
  if (!condition) {
    const waits = waitsFor(step, question) ?? spokenAgainst(step, question);
    if (waits) return { edge, score: 0, by: undefined, reason: waits };
    return { edge, score: 1, by: "default", reason: "the step's business is done" };
  }
  const score = question.edgeScore(edge);
  // A model that was asked about the edges has spoken for none of the others.
  if (judged && judged.kind !== "entry")
    return { edge, score, by: undefined, reason: "judged not to be meant" };
  const reaches = score >= transition_threshold;
  if (reaches && question.outdone(edge)) return { edge, score, by: undefined, reason: outdone };
  const reason = `${score.toFixed(2)} ${reaches ? "reaches" : "is below"} ${transition_threshold}`;
  return { edge, score, by: reaches ? "message" : undefined, reason };
}

/** A step is not left while its tools have not run; once they have failed, only by a guard that sees it. */
function byGuard(edge: Edge, step: Step, ground: NavigationGround): Considered {
  const waits = toolsAgainst(step, ground);
  const seesResults = /\bresults\b/.test(edge.transition.guard);
  if (waits && !(ground.toolsOf(step) === "failed" && seesResults))
    return { edge, score: 0, by: undefined, reason: waits };
  return { edge, score: 1, by: "guard", reason: "its guard is true" };
}

function toolsAgainst(step: Step, ground: NavigationGround): string | undefined {
  if (mayBeSkipped(step, ground)) return undefined;
  switch (ground.toolsOf(step)) {
    case "waiting":
      return "its tools have not answered";
    case "failed":
      return "its tools have failed";
    case "none":
    case "done":
      return undefined;
  }
}

/** The author lets the step be left out, and what it collects is known. */
function mayBeSkipped(step: Step, ground: NavigationGround): boolean {
  return step.skippable && step.collects.length > 0 && unknownOf(step, ground).length === 0;
}

function unknownOf(step: Step, { knows }: NavigationGround): readonly string[] {
  return step.collects.filter((field) => !knows({ field, verified: false }));
}

/** What a step without a condition to leave it still waits for. */
function waitsFor(step: Step, question: NavigationQuestion): string | undefined {
  const unknown = unknownOf(step, question);
  if (unknown.length > 0) return `waits for ${unknown.join(", ")}`;
  const tools = toolsAgainst(step, question);
  if (tools) return tools;
  const onlySpeaks = step.collects.length === 0 && step.toolIds.length === 0;
  if (onlySpeaks && question.digression) return "the customer speaks of something else";
  return undefined;
}

/** A model's word against going on as if nothing in particular had been meant. */
function spokenAgainst(step: Step, { judged, settings }: NavigationQuestion): string | undefined {
  // That it has what it asks for is evident, whatever a model makes of the message.
  if (judged === undefined || judged.kind === "entry" || step.collects.length > 0) return undefined;
  if (judged.kind === "edge")
    return judged.confidence < settings.transition_threshold ? "judged unsurely" : undefined;
  return judged.kind === "exit" ? "judged to be leaving" : "judged to stay";
}

function unattended(
  edge: Edge,
  { step, scenario }: { readonly step: Step; readonly scenario: CompiledScenario },
  ground: NavigationGround,
  onlyWay: boolean,
): Considered {
  const { condition, guard } = edge.transition;
  if (!condition && guard) return byGuard(edge, step, ground);
  const skipped = mayBeSkipped(step, ground);
  if (condition) {
    if (skipped && onlyWay)
      return {
        edge,
        score: 1,
        by: "default",
        reason: "the step may be skipped: its data is known",
      };
    return { edge, score: 0, by: undefined, reason: "needs the customer" };
  }
  const unknown = unknownOf(step, ground);
  if (unknown.length > 0)
    return { edge, score: 0, by: undefined, reason: `waits for ${unknown.join(", ")}` };
  const tools = toolsAgainst(step, ground);
  if (tools) return { edge, score: 0, by: undefined, reason: tools };
  const isDone =
    step.collects.length > 0 || ground.toolsOf(step) === "done" || isSilent(step, scenario, ground);
  if (!isDone) return { edge, score: 0, by: undefined, reason: "needs the customer" };
  return { edge, score: 1, by: "default", reason: "everything is known that the step is for" };
}

function best(
  considered: readonly Considered[],
  { settings, judged }: Pick<Chosen, "settings" | "judged">,
): Pick<EdgeChoice, "taken" | "reason"> {
  const by = (...grounds: EdgeGround[]) =>
    considered
      .flatMap(({ edge, score, by: ground, reason, loop }) =>
        ground && grounds.includes(ground) ? [{ edge, score, by: ground, reason, loop }] : [],
      )
      .toSorted(
        (a, b) => b.edge.transition.priority - a.edge.transition.priority || b.score - a.score,
      );
  const [top, next] = by("guard", "message");
  const close =
    top?.by === "message" &&
    next?.by === "message" &&
    next.edge.transition.priority === top.edge.transition.priority &&
    top.score - next.score < settings.margin - roundingError;
  const taken = by("judgement")[0] ?? top ?? by("default")[0];
  if (taken?.loop !== undefined) return { taken: undefined, reason: taken.loop };
  if (taken && taken === top && close)
    return {
      taken: undefined,
      reason: `${top.edge.id} and ${next.edge.id} are within ${settings.margin}: stays`,
    };
  if (taken) return { taken, reason: taken.reason };
  return { taken: undefined, reason: judged ? "judged to stay" : "no edge is taken" };
}

/** 0.75 - 0.65 is a margin of 0.1, whatever floating point makes of it. */
const roundingError = 1e-9;
