import { createHash } from "node:crypto";
import type { LanguageModel } from "@soldier/ai/language-model";
import type { SummaryInput } from "../domain/summary.ts";
import { extractiveName, extractiveSummary } from "./extractive.ts";

export interface Summarised {
  readonly text: string;
  readonly madeBy: string;
}

/** What the inputs, oldest first, come to. */
export type Summarise = (
  inputs: readonly SummaryInput[],
  signal: AbortSignal,
) => Promise<Summarised>;

/** Without a model: sentences of the inputs themselves. */
export const byExtraction: Summarise = async (inputs) => ({
  text: extractiveSummary(inputs.map(({ text }) => text)),
  madeBy: extractiveName,
});

const instructions = `You write a summary of a conversation between a customer and an agent, or of earlier summaries of one, for an agent who talks to the customer later.
Rules:
- Say only what the text says. Keep names, numbers, dates, decisions, promises, and what is still open.
- Say who said or did it. Leave out greetings and small talk.
- At most eight sentences, in the language of the customer, as plain text.`;

const tokensMax = 500;
/** Part of the name: another prompt is another way to summarise. */
const promptHash = createHash("sha256").update(instructions).digest("hex").slice(0, 8);

/** By a model. A failure is the caller's to try again: there is no hurry. */
export function byModel(model: LanguageModel): Summarise {
  return async (inputs, signal) => {
    const { text } = await model.generate(
      {
        system: [{ text: instructions, cacheable: true }],
        messages: [{ role: "user", text: inputs.map((input) => input.text).join("\n") }],
        maxTokens: tokensMax,
      },
      signal,
    );
    // A model that says nothing says nothing the next time, too.
    if (text.trim() === "") return byExtraction(inputs, signal);
    return { text: text.trim(), madeBy: `llm:${model.id}@${promptHash}` };
  };
}
