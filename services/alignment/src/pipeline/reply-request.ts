import type { ModelRequest } from "@soldier/ai/language-model";
import { bindingsOf } from "../domain/expressions.ts";
import { withheldFields } from "../domain/fields.ts";
import { buildPrompt } from "../domain/prompt.ts";
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
  | "profile"
  | "known"
  | "memories"
  | "applied"
  | "relations"
  | "effects";

const conduct = instructions(import.meta.url, "./steps/generate.md");

/** What a model is asked to write: again with what an earlier attempt broke, and after what was shown. */
export function replyRequest(
  turn: Pick<Turn, ReplyNeeds>,
  candidates: readonly TemplateCandidate[],
  { stressed, shown }: { readonly stressed: readonly string[]; readonly shown: string },
): ModelRequest {
  const { bundle, applied, known, memories, history, incoming } = turn;
  const { generation } = bundle.settings;
  const withheld = withheldFields(bundle.fields, turn.profile);
  const prompt = buildPrompt({
    conduct,
    instructions: bundle.agent.instructions,
    applied,
    stressed,
    step: stepOf(turn),
    scenario: known.session.scenario,
    suggestions: suggestionsOf(candidates, withheld),
    preambles: preambles(templateQuestion(turn, bindingsOf(known))),
    asks: asksOf(turn),
    notDone: turn.effects.notDone,
    known,
    withheld,
    memories,
    history,
    message: incoming.text,
    shown,
    tokensMax: generation.prompt_tokens_max,
  });
  return { ...prompt, maxTokens: generation.reply_tokens_max };
}
