import type { Rule } from "@soldier/proto/config/v1/rule";
import type { Step } from "@soldier/proto/config/v1/scenario";
import type { Turn as SessionTurn } from "@soldier/proto/session/v1/session";
import type { JsonRecord } from "./json.ts";
import type { KnownValues } from "./known-values.ts";
import { asData, block, blocks, dataBlock } from "./prompt-data.ts";
import { dayOf } from "./provenance.ts";
import { isField, type Remembered } from "./remembered.ts";
import type { TemplateCandidate } from "./templates.ts";
import { tokensIn } from "./tokens.ts";

export interface PromptQuestion {
  /** How every reply is written, whatever the agent. */
  readonly conduct: string;
  /** Who the agent is. */
  readonly instructions: string;
  readonly applied: readonly Rule[];
  /** Rules that an earlier attempt broke. */
  readonly stressed: readonly string[];
  readonly step: Step | undefined;
  readonly scenario: string;
  readonly suggestions: readonly TemplateCandidate[];
  /** Ways to begin that acknowledge and say nothing yet. */
  readonly preambles: readonly string[];
  readonly asks: readonly string[];
  /** What was not done, though it is spoken of, and why. */
  readonly notDone: readonly string[];
  readonly known: KnownValues;
  /** Profile fields that this customer does not let a model see. */
  readonly withheld: Pick<ReadonlySet<string>, "has">;
  /** What may be told of the customer, the best first. */
  readonly remembered: readonly Remembered[];
  readonly now: Date;
  readonly history: readonly SessionTurn[];
  /** Empty when the agent is to open. */
  readonly message: string;
  /** What the customer has been shown of this reply already. */
  readonly shown: string;
  readonly tokensMax: number;
}

export interface Prompt {
  readonly system: readonly { readonly text: string; readonly cacheable?: boolean }[];
  readonly messages: readonly { readonly role: "user" | "assistant"; readonly text: string }[];
}

export interface BuiltPrompt {
  readonly prompt: Prompt;
  /** What of the customer it tells. */
  readonly told: readonly Remembered[];
}

/**
 * A prompt from the most stable part to the most changing, so that what providers cache stays the
 * same from turn to turn. Over its budget the oldest history goes first, then the weakest memories;
 * rules, instructions and the message never. What others wrote can't close the block that it is in.
 */
export function buildPrompt(question: PromptQuestion): BuiltPrompt {
  const stable = blocks(question.conduct, block("agent", nonEmpty([question.instructions])));
  const message = lastMessage(question);
  const fixed = tokensIn(stable) + tokensIn(situation(question, [])) + tokensIn(message);
  let restTokens = question.tokensMax - fixed;

  const known = question.remembered.filter(({ use }) => !isField(use));
  const memories: Remembered[] = [];
  for (const memory of known) {
    const cost = memory.tokens + (memories.length === 0 ? tokensIn(remembering) : 0);
    if (cost > restTokens) break; // the best come first
    restTokens -= cost;
    memories.push(memory);
  }
  // A memory goes only when there is no more history to go.
  const history = memories.length < known.length ? [] : latest(question.history, restTokens);
  const system = [{ text: stable, cacheable: true }, { text: situation(question, memories) }];
  return {
    prompt: {
      system: system.filter(({ text }) => text !== ""),
      messages: inTurn([...history, { role: "user", text: message }]),
    },
    told: [...question.remembered.filter(({ use }) => isField(use)), ...memories],
  };
}

const remembering = "\n\n<today>\n30 September 2026\n</today>\n\n<remembered>\n\n</remembered>";

function nonEmpty(texts: readonly string[]): readonly string[] {
  return texts.filter((text) => text !== "");
}

function situation(question: PromptQuestion, memories: readonly Remembered[]): string {
  const {
    applied,
    step,
    scenario,
    suggestions,
    preambles,
    asks,
    notDone,
    known,
    withheld,
    stressed,
  } = question;
  const rules = applied
    .filter(({ action }) => action !== "")
    .map(
      ({ name, action, hardConstraint }) =>
        `- ${name}${hardConstraint ? " (must)" : ""}: ${action}`,
    );
  const results = Object.entries(known.results);
  const fields = question.remembered.filter(({ use }) => isField(use));
  const dated = fields.length + memories.length > 0;
  return blocks(
    dataBlock("rules", rules),
    dataBlock("must_keep_to", listed(stressed)),
    dataBlock("step", step ? [`${scenario}, ${step.name || step.id}: ${step.instructions}`] : []),
    dataBlock("suggested_words", listed(suggestions.map(({ text }) => text ?? ""))),
    dataBlock("openings", listed(preambles)),
    dataBlock("ask_for", listed(asks)),
    dataBlock("not_done", listed(notDone)),
    // Without it nobody can tell how long ago a date is.
    block("today", dated ? [dayOf(question.now)] : []),
    dataBlock("customer", linesOf(fields)),
    dataBlock("values", [...facts(known.variables), ...facts(known.fields, withheld)]),
    dataBlock(
      "tool_results",
      results.map(([name, result]) => `${name}: ${within(JSON.stringify(result))}`),
    ),
    dataBlock("remembered", linesOf(memories)),
  );
}

function linesOf(all: readonly Remembered[]): readonly string[] {
  return all.map(({ line }) => line);
}

/** The beginning of what a tool said: a whole catalogue helps nobody and could cost the answer. */
function within(text: string): string {
  return text.length > resultLengthMax ? `${text.slice(0, resultLengthMax)}… (cut off)` : text;
}

const resultLengthMax = 8_000;

function listed(texts: readonly string[]): readonly string[] {
  return texts.map((text) => `- ${text}`);
}

/** Names with their values, one a line, without those withheld. */
export function facts(
  values: JsonRecord,
  withheld: Pick<ReadonlySet<string>, "has"> = new Set(),
): readonly string[] {
  return Object.entries(values)
    .filter(([name]) => !withheld.has(name))
    .map(
      ([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
}

function lastMessage({ message, shown }: PromptQuestion): string {
  return blocks(
    message === "" ? opening : asData(message),
    dataBlock("already_said", nonEmpty([shown])),
    shown === "" ? "" : "Go on right after what you have already said, without repeating it.",
  );
}

const opening =
  "<opening>The customer has written nothing yet. You begin, because of the rules that apply.</opening>";

/** As many whole turns from the end as fit. */
function latest(history: readonly SessionTurn[], tokensMax: number): Prompt["messages"] {
  const messages: { role: "user" | "assistant"; text: string }[] = [];
  let used = 0;
  for (const { userText, replyText } of history.toReversed()) {
    const turn = { user: asData(userText), assistant: replyText };
    used += tokensIn(`${turn.user}\n\n`) + tokensIn(turn.assistant);
    if (used > tokensMax) break;
    if (turn.assistant) messages.unshift({ role: "assistant", text: turn.assistant });
    if (turn.user) messages.unshift({ role: "user", text: turn.user });
  }
  return messages;
}

/** One message of each side after the other, the customer's first: providers want it so. */
function inTurn(messages: Prompt["messages"]): Prompt["messages"] {
  const merged: { role: "user" | "assistant"; text: string }[] = [];
  for (const { role, text } of messages) {
    const last = merged.at(-1);
    if (last?.role === role) last.text += `\n\n${text}`;
    else merged.push({ role, text });
  }
  if (merged[0]?.role === "assistant") merged.unshift({ role: "user", text: begun });
  return merged;
}

const begun = "<opening>The conversation begins with your words.</opening>";
