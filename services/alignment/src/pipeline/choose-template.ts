import { Fault } from "@soldier/kernel/fault";
import type { Step as ScenarioStep } from "@soldier/proto/config/v1/scenario";
import { z } from "zod";
import type { CompiledBundle } from "../domain/compiled-bundle.ts";
import { checked, type Constraint } from "../domain/checks.ts";
import type { Bindings } from "../domain/expressions.ts";
import { withGenerated } from "../domain/generated-values.ts";
import { facts } from "../domain/prompt.ts";
import { block, blocks, dataBlock } from "../domain/prompt-data.ts";
import { asking, type PlannedReply, saidByTemplate } from "../domain/reply.ts";
import { replyMode } from "../domain/reply-mode.ts";
import {
  byPreference,
  keepingTo,
  pickedByWords,
  strictCandidates,
} from "../domain/template-choice.ts";
import { shownText } from "../domain/shown-text.ts";
import type { TemplateCandidate } from "../domain/templates.ts";
import { tokensIn } from "../domain/tokens.ts";
import { placeOf } from "../domain/turn-values.ts";
import type { ModelCalls } from "./model-calls.ts";
import { conversation, instructions } from "./prompts.ts";
import type { Turn } from "./turn.ts";

/** What a reply of templates alone came to. */
export interface ChosenReply {
  /** Undefined: no template can be said, for `reason`. */
  readonly planned: PlannedReply | undefined;
  readonly reason: string;
  /** The reason of the model's failure; "" when it did not fail. */
  readonly failed: string;
  /** A model wrote a part of it, so that a model judges it, too. */
  readonly isGenerated: boolean;
  /** Fills the same template in again after what was broken; undefined when a model filled in nothing. */
  readonly again: Refill | undefined;
  /** Why it is this template, and what is against the others. */
  readonly notes: ReadonlyMap<string, string>;
}

/** The text as it is now; the old one when the model has no better values. */
export type Refill = (calls: ModelCalls, stressed: readonly string[]) => Promise<string>;

export interface ChoiceQuestion {
  readonly candidates: readonly TemplateCandidate[];
  /** What the engine has to ask before it can go on. */
  readonly asks: readonly string[];
  readonly constraints: readonly Constraint[];
  readonly bindings: Bindings;
  readonly step: ScenarioStep | undefined;
}

type Choice = z.output<typeof choiceShape>;

type Needs = "incoming" | "history" | "bundle" | "state" | "known" | "applied" | "budget";

const prompt = instructions(import.meta.url, "./choose-template.md");

const choiceShape = z.object({
  /** The alias of a template, or "none". */
  template: z.string(),
  fields: z.array(z.object({ name: z.string(), value: z.string() })),
});

/** A prompt with more would cost more than the choice is worth; the preferred ones are offered. */
const offeredMax = 40;

/**
 * The reply where templates are EXCLUSIVE: a single one is said without a model; of several, or when
 * something is to be filled in, a model chooses in one call, and without one their words and order do.
 * Undefined where no EXCLUSIVE template is in question: then the reply may be written.
 */
export async function chosenReply(
  question: ChoiceQuestion,
  turn: Pick<Turn, Needs>,
  calls: ModelCalls | undefined,
): Promise<ChosenReply | undefined> {
  const { candidates, asks, constraints, bindings } = question;
  const mode = replyMode(turn.bundle, placeOf(turn.state));
  const strict = strictCandidates(candidates, mode, calls !== undefined);
  if (mode !== "EXCLUSIVE" && strict.length === 0) return undefined;
  // Templates that offer themselves know nothing of what is being asked for.
  if (mode === "EXCLUSIVE" && asks.length > 0 && !strict.some(({ named }) => named))
    return reply({ planned: asking(asks) });

  const plain = constraints.filter(({ kind }) => kind !== "judge");
  const fitting = keepingTo(strict, (text) =>
    plain.every((each) => checked(each, text, turn.bundle.expressions, bindings).passed),
  );
  const broken = strict.filter((each) => !fitting.includes(each));
  const notes = new Map(broken.map(({ id }) => [id, "it breaks what is demanded of the reply"]));
  const [only] = fitting;
  if (!only) return reply({ reason: "no template is eligible", notes });
  const isCertain = fitting.length === 1 && only.text !== undefined;
  if (isCertain || !calls) return reply(ofWords(fitting, turn, notes));

  const offered = affordable(byPreference(fitting), turn.bundle);
  for (const { id } of fitting)
    if (!offered.some((each) => each.id === id)) notes.set(id, "too many to choose from");
  const ask = (to: ModelCalls, among: readonly TemplateCandidate[], stressed: readonly string[]) =>
    choice(among, { step: question.step, stressed }, turn, to);
  try {
    const answer = await ask(calls, offered, []);
    return reply({ ...ofModel(offered, answer, notes), again: refill(offered, answer, ask) });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    // Nobody has weighed them against the rules: only what an author meant for this moment is said.
    const named = fitting.filter((each) => each.named && each.text !== undefined);
    return reply({ ...ofWords(named, turn, notes), failed: error.reason });
  }
}

function reply(part: Partial<ChosenReply>): ChosenReply {
  return {
    planned: undefined,
    reason: "",
    failed: "",
    isGenerated: false,
    again: undefined,
    notes: new Map(),
    ...part,
  };
}

/** As many of the preferred ones as a prompt has room for, beside all else that it holds. */
function affordable(
  preferred: readonly TemplateCandidate[],
  { settings }: Pick<CompiledBundle, "settings">,
): readonly TemplateCandidate[] {
  let restTokens = settings.generation.prompt_tokens_max / 2;
  const fits = preferred.findIndex((each, i) => {
    restTokens -= tokensIn(shownText(each));
    return i >= offeredMax || (i > 0 && restTokens < 0);
  });
  return fits < 0 ? preferred : preferred.slice(0, fits);
}

/** Templates stay as they are: what can be mended is what the model has filled in. */
function refill(
  offered: readonly TemplateCandidate[],
  answer: Choice,
  ask: (
    to: ModelCalls,
    among: readonly TemplateCandidate[],
    stressed: readonly string[],
  ) => Promise<Choice>,
): Refill | undefined {
  const chosen = chosenOf(offered, answer);
  const old = chosen && withGenerated(chosen, valuesOf(answer)).text;
  if (!chosen?.isFillable || old === undefined) return undefined;
  return async (calls, stressed) => {
    const next = await ask(calls, [chosen], stressed);
    if (!chosenOf([chosen], next)) return old;
    return withGenerated(chosen, valuesOf(next)).text ?? old;
  };
}

function chosenOf(
  offered: readonly TemplateCandidate[],
  { template }: Choice,
): TemplateCandidate | undefined {
  return offered.find((_, i) => template === `t${i + 1}`);
}

/** By the names without "generative.". */
function valuesOf({ fields }: Choice): ReadonlyMap<string, string> {
  return new Map(
    fields.map(({ name, value }) => [name.replace(/^\{?(?:generative\.)?|\}$/g, ""), value]),
  );
}

function ofWords(
  candidates: readonly TemplateCandidate[],
  { incoming }: Pick<Turn, "incoming">,
  notes: ReadonlyMap<string, string>,
): Partial<ChosenReply> {
  const picked = pickedByWords(candidates, incoming.text);
  if (picked?.candidate.text === undefined) return { reason: "no template is eligible", notes };
  const { candidate, reason } = picked;
  return {
    planned: saidByTemplate(candidate, picked.candidate.text),
    notes: noted(notes, candidates, candidate, reason),
  };
}

function ofModel(
  offered: readonly TemplateCandidate[],
  answer: Choice,
  notes: ReadonlyMap<string, string>,
): Partial<ChosenReply> {
  const chosen = chosenOf(offered, answer);
  if (!chosen) {
    const reason = "the model found none that answers";
    return { reason, notes: noted(notes, offered, undefined, reason) };
  }
  const { text, reason } = withGenerated(chosen, valuesOf(answer));
  if (text === undefined) return { reason, notes: noted(notes, offered, chosen, reason) };
  return {
    planned: saidByTemplate(chosen, text),
    isGenerated: chosen.text === undefined,
    notes: noted(notes, offered, chosen, "the model chose it"),
  };
}

function noted(
  notes: ReadonlyMap<string, string>,
  candidates: readonly TemplateCandidate[],
  chosen: TemplateCandidate | undefined,
  reason: string,
): ReadonlyMap<string, string> {
  const others = chosen ? `${chosen.name} was chosen` : reason;
  const own = candidates.map(({ id }) => [id, id === chosen?.id ? reason : others] as const);
  return new Map([...notes, ...own]);
}

async function choice(
  offered: readonly TemplateCandidate[],
  { step, stressed }: Pick<ChoiceQuestion, "step"> & { readonly stressed: readonly string[] },
  { incoming, history, bundle, known, applied, budget }: Pick<Turn, Needs>,
  calls: ModelCalls,
): Promise<Choice> {
  const { withheld } = known;
  const { instructions: identity } = bundle.agent;
  const { value } = await calls.structured(
    "choose-template",
    {
      system: [{ text: prompt, cacheable: true }, ...(identity ? [{ text: identity }] : [])],
      messages: [
        {
          role: "user",
          text: blocks(
            block(
              "rules",
              applied.flatMap(({ name, action }) =>
                action === "" ? [] : [`- ${name}: ${action}`],
              ),
            ),
            block(
              "must_keep_to",
              stressed.map((each) => `- ${each}`),
            ),
            block("step", step ? [`${step.name || step.id}: ${step.instructions}`] : []),
            dataBlock("values", [
              ...facts(known.profile, withheld),
              ...facts(known.variables),
              ...facts(known.fields, withheld),
            ]),
            dataBlock("tool_results", facts(known.results)),
            dataBlock(
              "templates",
              offered.map((each, i) => `t${i + 1}: ${shownText(each)}`),
            ),
            conversation(history, incoming.text),
          ),
        },
      ],
      maxTokens: 800,
      schema: choiceShape,
      schemaName: "choose",
    },
    budget,
  );
  return value;
}
