import { Fault } from "@soldier/kernel/fault";
import type { Step as ScenarioStep } from "@soldier/proto/config/v1/scenario";
import { checked, constraintsOf } from "../../domain/checks.ts";
import { type Bindings, bindingsOf } from "../../domain/expressions.ts";
import { withheldFields } from "../../domain/fields.ts";
import { Gate } from "../../domain/gate.ts";
import { buildPrompt } from "../../domain/prompt.ts";
import {
  builtInLeave,
  composedReply,
  fallbackReply,
  type PlannedReply,
} from "../../domain/reply.ts";
import { templateRecords } from "../../domain/template-records.ts";
import { candidate, type TemplateCandidate, templateCandidates } from "../../domain/templates.ts";
import { placeOf } from "../../domain/turn-values.ts";
import { chosenReply } from "../choose-template.ts";
import type { Means } from "../means.ts";
import { knowsOwnModel, type ModelCalls, modelCalls } from "../model-calls.ts";
import { instructions } from "../prompts.ts";
import type { Step } from "../step.ts";
import type { Draft, Turn } from "../turn.ts";

type Needs =
  | "incoming"
  | "bundle"
  | "outlet"
  | "state"
  | "history"
  | "profile"
  | "known"
  | "memories"
  | "applied"
  | "relations"
  | "navigation"
  | "effects"
  | "budget"
  | "rung";

const conduct = instructions(import.meta.url, "./generate.md");

/**
 * Writes the reply into a gate that lets out what may be seen. An EXCLUSIVE template is said as it
 * stands; otherwise a model writes, and without one templates and questions are put together.
 */
export function generate(means: Means): Step<Needs, "draft"> {
  return {
    name: "generate",
    async run(turn, signal) {
      const { bundle, outlet, known, applied } = turn;
      const bindings = bindingsOf(known);
      const step = stepOf(turn);
      const candidates = candidatesOf(turn, step, bindings);
      const constraints = constraintsOf(applied, known);
      const gate = new Gate(
        constraints,
        (constraint, text) => checked(constraint, text, bundle.expressions, bindings),
        (piece) => outlet.delta(piece),
      );
      const draft = (planned: PlannedReply): Draft => ({
        gate,
        candidates,
        source: planned.source,
        templateIds: planned.templateIds,
        fallbackReason: planned.reason,
        failed: false,
        isGenerated: false,
        rewrite: undefined,
      });
      const recorded = (used: readonly string[], notes?: ReadonlyMap<string, string>) => ({
        templates: templateRecords(candidates, used, notes),
      });

      const choosing = modelCalls(means, turn, "choose");
      const question = { candidates, asks: asksOf(turn), constraints, bindings, step };
      const chosen = await chosenReply(question, turn, choosing);
      if (chosen) {
        signal.throwIfAborted();
        const { reason, failed, isGenerated, notes } = chosen;
        const planned =
          chosen.planned ?? fallbackReply(candidates, agentsFallback(turn, bindings), reason);
        const isDown = failed !== "" && chosen.planned === undefined;
        // Where a model's failure is the reason, enforce says the fallback.
        if (!isDown) gate.write(planned.text);
        return {
          draft: {
            ...draft(planned),
            isGenerated,
            failed: isDown,
            ...(isDown && { fallbackReason: failed }),
          },
          record: {
            ...choosing?.record,
            ...(failed !== "" && { degraded: failed }),
            facts: recorded(planned.templateIds, notes),
          },
        };
      }
      const calls = modelCalls(means, turn, "generate");
      if (!calls) {
        const waiting = unfinishedTool(turn, step);
        const planned =
          composedReply({
            candidates,
            asks: asksOf(turn),
            arrived: turn.navigation.entered.length > 0,
            stepAsks: stepAsks(turn, step),
            // They tell of a deed that was not done.
            stepInstructions: waiting === undefined ? (step?.instructions ?? "") : "",
          }) ??
          (turn.navigation.left
            ? builtInLeave
            : fallbackReply(
                candidates,
                agentsFallback(turn, bindings),
                waiting === undefined ? "nothing to say" : `no result of ${waiting}`,
              ));
        gate.write(planned.text);
        return { draft: draft(planned), record: { facts: recorded(planned.templateIds) } };
      }

      const withheld = withheldFields(bundle.fields, turn.profile);
      const suggestions = candidates.filter(({ mode, text }) => mode === "SUGGEST" && text);
      const write = async (
        to: ModelCalls,
        stressed: readonly string[],
        until: AbortSignal,
      ): Promise<string | undefined> => {
        const prompt = buildPrompt({
          conduct,
          instructions: bundle.agent.instructions,
          applied,
          stressed,
          step,
          scenario: known.session.scenario,
          suggestions,
          asks: asksOf(turn),
          known,
          withheld,
          memories: turn.memories,
          history: turn.history,
          message: turn.incoming.text,
          shown: gate.shown,
          tokensMax: bundle.settings.generation.prompt_tokens_max,
        });
        const maxTokens = bundle.settings.generation.reply_tokens_max;
        try {
          await to.write("generate", { ...prompt, maxTokens }, until, (piece) => gate.write(piece));
          return gate.written.trim() === "" ? "MODEL_SAID_NOTHING" : undefined;
        } catch (error) {
          signal.throwIfAborted();
          if (error instanceof Fault) return error.reason;
          throw error;
        }
      };
      const failure = await write(calls, [], turn.budget);
      const degraded = failure ?? (knowsOwnModel(means, turn) ? undefined : "AGENT_MODEL_UNKNOWN");
      const used = Object.keys(known.profile).filter((name) => !withheld.has(name));
      return {
        draft: {
          gate,
          candidates,
          source: "model",
          templateIds: [],
          fallbackReason: failure ?? "",
          failed: failure !== undefined,
          isGenerated: true,
          rewrite: write,
        },
        record: {
          ...calls.record,
          ...(degraded !== undefined && { degraded }),
          facts: {
            ...recorded([]),
            profileFieldsUsed: used,
            profileFieldsWithheld: [...withheld].filter((name) => name in known.profile),
          },
        },
      };
    },
    off: () => ({
      draft: {
        gate: silentGate(),
        candidates: [],
        source: "none",
        templateIds: [],
        fallbackReason: "",
        failed: false,
        isGenerated: false,
        rewrite: undefined,
      },
    }),
  };
}

/** Nothing is written into it. */
function silentGate(): Gate {
  const check = () => {
    throw new Error("a silent turn has nothing to check");
  };
  return new Gate([], check, () => {});
}

function stepOf({ bundle, state }: Pick<Turn, "bundle" | "state">): ScenarioStep | undefined {
  const { scenarioId, stepId } = placeOf(state);
  return bundle.scenariosById.get(scenarioId)?.steps.get(stepId);
}

function candidatesOf(
  { bundle, applied, state, known, effects: { unfinished } }: Pick<Turn, Needs>,
  step: ScenarioStep | undefined,
  bindings: Bindings,
): readonly TemplateCandidate[] {
  const place = placeOf(state);
  return templateCandidates({ bundle, applied, step, place, known, bindings, unfinished });
}

/** The name of a tool of the step that should have run and did not succeed. */
function unfinishedTool(
  { bundle, effects: { unfinished } }: Pick<Turn, "bundle" | "effects">,
  step: ScenarioStep | undefined,
): string | undefined {
  const id = step?.toolIds.find((each) => unfinished.has(each));
  return id && (bundle.toolsById.get(id)?.name ?? id);
}

/** The agent's own last word, if it has one that can be said now. */
export function agentsFallback(
  { bundle, state, known }: Pick<Turn, "bundle" | "state" | "known">,
  bindings: Bindings,
): TemplateCandidate | undefined {
  const compiled = bundle.templatesById.get(bundle.settings.fallback_template_id);
  if (!compiled) return undefined;
  const found = candidate(compiled, undefined, { bundle, place: placeOf(state), known, bindings });
  return { ...found, mode: "FALLBACK" };
}

/** What has to be asked: which of several was meant, then what tools lack. */
function asksOf({ relations, effects, bundle }: Pick<Turn, "relations" | "effects" | "bundle">) {
  const { choice } = relations;
  if (!choice) return effects.asks;
  // A rule that asks may have words of its own for it.
  if (choice.asks.templateIds.some((id) => bundle.templatesById.has(id))) return effects.asks;
  const options = choice.among.map(({ name }, i) => `${i + 1}. ${name.replaceAll(/[_-]+/g, " ")}`);
  return [`Which of these do you mean?\n${options.join("\n")}`, ...effects.asks];
}

/** The question for the first thing that the step collects and that is not known. */
function stepAsks(
  { bundle, known }: Pick<Turn, "bundle" | "known">,
  step: ScenarioStep | undefined,
): string {
  const missing = missingField({ known }, step);
  return missing === undefined ? "" : (bundle.fields.get(missing)?.collectionPrompt ?? "");
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
