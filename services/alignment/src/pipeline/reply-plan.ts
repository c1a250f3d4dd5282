import type { Step as ScenarioStep } from "@soldier/proto/config/v1/scenario";
import type { Bindings } from "../domain/expressions.ts";
import { builtInLeave, composedReply, fallbackReply, type PlannedReply } from "../domain/reply.ts";
import {
  candidate,
  type TemplateCandidate,
  type templateCandidates,
  type TemplateQuestion,
} from "../domain/templates.ts";
import { placeOf } from "../domain/turn-values.ts";
import type { Turn } from "./turn.ts";

type Here = Pick<Turn, "bundle" | "state">;

/** The step that speaks: where the session is, unless a relation overrides its scenario in this turn. */
export function stepOf({
  bundle,
  state,
  relations,
}: Here & Pick<Turn, "relations">): ScenarioStep | undefined {
  const { scenarioId, stepId } = placeOf(state);
  if (relations.scenariosDropped.includes(scenarioId)) return undefined;
  return bundle.scenariosById.get(scenarioId)?.steps.get(stepId);
}

/** What decides which templates may be said. */
export function templateQuestion(
  turn: Here & Pick<Turn, "applied" | "known" | "effects" | "relations">,
  bindings: Bindings,
): TemplateQuestion {
  const { bundle, applied, known, effects, state } = turn;
  const { unfinished } = effects;
  return {
    bundle,
    applied,
    step: stepOf(turn),
    place: placeOf(state),
    known,
    bindings,
    unfinished,
  };
}

/** What is said without a model: what rules and step have ready, else a fallback. */
export function replyWithoutModel(
  turn: Here & Pick<Turn, "known" | "relations" | "effects" | "navigation">,
  candidates: ReturnType<typeof templateCandidates>,
  bindings: Bindings,
): PlannedReply {
  const step = stepOf(turn);
  const waiting = unfinishedTool(turn, step);
  const composed = composedReply({
    candidates,
    asks: asksOf(turn),
    arrived: turn.navigation.entered.length > 0,
    stepAsks: stepAsks(turn, step),
    // They tell of a deed that was not done.
    stepInstructions: waiting === undefined ? (step?.instructions ?? "") : "",
  });
  if (composed) return composed;
  if (turn.navigation.left) return builtInLeave;
  const reason = waiting === undefined ? "nothing to say" : `no result of ${waiting}`;
  return fallbackReply(candidates, agentsFallback(turn, bindings), reason);
}

/** The agent's own last word, if it has one that can be said now. */
export function agentsFallback(
  { bundle, state, known }: Here & Pick<Turn, "known">,
  bindings: Bindings,
): TemplateCandidate | undefined {
  const compiled = bundle.templatesById.get(bundle.settings.fallback_template_id);
  if (!compiled) return undefined;
  const found = candidate(compiled, undefined, { bundle, place: placeOf(state), known, bindings });
  return { ...found, mode: "FALLBACK" };
}

/** What has to be asked: which of several was meant, then what tools lack. */
export function asksOf({
  relations,
  effects,
  bundle,
}: Pick<Turn, "relations" | "effects" | "bundle">): readonly string[] {
  const { choice } = relations;
  if (!choice) return effects.asks;
  // A rule that asks may have words of its own for it.
  if (choice.asks.templateIds.some((id) => bundle.templatesById.has(id))) return effects.asks;
  const options = choice.among.map(({ name }, i) => `${i + 1}. ${name.replaceAll(/[_-]+/g, " ")}`);
  return [`Which of these do you mean?\n${options.join("\n")}`, ...effects.asks];
}

/** The first field that the step collects and that is not known. */
export function missingField(
  { known }: Pick<Turn, "known">,
  step: ScenarioStep | undefined,
): string | undefined {
  return step?.collects.find(
    (field) => known.fields[field] === undefined && known.profile[field] === undefined,
  );
}

/** The question for the first thing that the step collects and that is not known. */
function stepAsks(
  { bundle, known }: Pick<Turn, "bundle" | "known">,
  step: ScenarioStep | undefined,
): string {
  const missing = missingField({ known }, step);
  return missing === undefined ? "" : (bundle.fields.get(missing)?.collectionPrompt ?? "");
}

/** The name of a tool of the step that should have run and did not succeed. */
function unfinishedTool(
  { bundle, effects: { unfinished } }: Pick<Turn, "bundle" | "effects">,
  step: ScenarioStep | undefined,
): string | undefined {
  const id = step?.toolIds.find((each) => unfinished.has(each));
  return id && (bundle.toolsById.get(id)?.name ?? id);
}
