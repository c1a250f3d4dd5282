import type { ModelRequest } from "@soldier/ai/language-model";
import { bindingsOf } from "../domain/expressions.ts";
import { buildPrompt } from "../domain/prompt.ts";
import type { Remembered } from "../domain/remembered.ts";
import { suggestionsOf } from "../domain/shown-text.ts";
import { preambles, type TemplateCandidate } from "../domain/templates.ts";
import { instructions } from "./prompts.ts";
import { asksOf, stepOf, templateQuestion } from "./reply-plan.ts";
import type { Turn } from "./turn.ts";

/** All that a reply is written from. */
export type ReplyNeeds =
  | "incoming"
  | "bundle"
  | "state"
  | "history"
  | "known"
  | "remembered"
  | "receivedAt"
  | "applied"
  | "relations"
  | "effects";

const conduct = instructions(import.meta.url, "./steps/generate.md");

export interface AskedReply {
  readonly request: ModelRequest;
  /** What of the customer it tells. */
  readonly told: readonly Remembered[];
}

/** What a model is asked to write: again with what an earlier attempt broke, and after what was shown. */
export function replyRequest(
  turn: Pick<Turn, ReplyNeeds>,
  candidates: readonly TemplateCandidate[],
  { stressed, shown }: { readonly stressed: readonly string[]; readonly shown: string },
): AskedReply {
  const { bundle, applied, known, remembered, history, incoming } = turn;
  const { generation } = bundle.settings;
  const { withheld } = known;
  const { prompt, told } = buildPrompt({
    conduct,
    instructions: bundle.agent.instructions,
    applied,
    stressed,
    step: stepOf(turn),
    scenario: known.session.scenario,
    suggestions: suggestionsOf(candidates),
    preambles: preambles(templateQuestion(turn, bindingsOf(known))),
    asks: asksOf(turn),
    notDone: turn.effects.notDone,
    known,
    withheld,
    remembered: remembered.filter(({ out }) => out === ""),
    now: turn.receivedAt,
    history,
    message: incoming.text,
    shown,
    tokensMax: generation.prompt_tokens_max,
  });
  return { request: { ...prompt, maxTokens: generation.reply_tokens_max }, told };
}
