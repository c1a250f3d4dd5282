import type { Rule } from "@soldier/proto/config/v1/rule";
import type { Step } from "@soldier/proto/config/v1/scenario";
import type { MemoryHit } from "@soldier/proto/memory/v1/memory_service";
import type { Turn as SessionTurn } from "@soldier/proto/session/v1/session";
import type { JsonRecord } from "./json.ts";
import type { KnownValues } from "./known-values.ts";
import type { TemplateCandidate } from "./templates.ts";

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
  readonly asks: readonly string[];
  readonly known: KnownValues;
  /** Profile fields that this customer does not let a model see. */
  readonly withheld: ReadonlySet<string>;
  readonly memories: readonly MemoryHit[];
  readonly history: readonly SessionTurn[];
  readonly message: string;
  /** What the customer has been shown of this reply already. */
  readonly shown: string;
  readonly tokensMax: number;
}

export interface Prompt {
  readonly system: readonly { readonly text: string; readonly cacheable?: boolean }[];
  readonly messages: readonly { readonly role: "user" | "assistant"; readonly text: string }[];
}

/**
 * A prompt from the most stable part to the most changing, so that what providers cache stays the
 * same from turn to turn. Over its budget the oldest history goes first, then memories; rules never.
 */
export function buildPrompt(question: PromptQuestion): Prompt {
  const stable = [question.conduct, question.instructions].filter((text) => text !== "");
  const memories = question.memories.map(remembered).filter((text) => text !== "");
  const message = lastMessage(question);
  const fixed =
    stable.reduce((sum, text) => sum + tokensIn(text), 0) +
    tokensIn(situation(question, [])) +
    tokensIn(message);
  let restTokens = question.tokensMax - fixed;
  const keep = (texts: readonly string[]): readonly string[] =>
    texts.filter((text) => {
      restTokens -= tokensIn(text);
      return restTokens >= 0;
    });
  // The best memories are worth more than the oldest turns, and take no more than a part of the room.
  const recalled = keep(within(memories, Math.max(0, restTokens * memoryShare)));
  const history = latest(question.history, Math.max(0, restTokens));
  return {
    system: [
      ...stable.map((text) => ({ text, cacheable: true })),
      { text: situation(question, recalled) },
    ],
    messages: [...history, { role: "user", text: message }],
  };
}

const memoryShare = 0.3;

/** A guess that needs no tokenizer and errs on the safe side for English. */
export function tokensIn(text: string): number {
  return Math.ceil(text.length / 4);
}

function situation(question: PromptQuestion, memories: readonly string[]): string {
  const { applied, step, scenario, suggestions, asks, known, withheld, stressed } = question;
  return [
    block(
      "rules",
      applied
        .filter(({ action }) => action !== "")
        .map(
          ({ name, action, hardConstraint }) =>
            `- ${name}${hardConstraint ? " (must)" : ""}: ${action}`,
        ),
    ),
    block(
      "must_keep_to",
      stressed.map((each) => `- ${each}`),
    ),
    block("step", step ? [`${scenario}, ${step.name || step.id}: ${step.instructions}`] : []),
    block(
      "suggested_words",
      suggestions.map(({ text }) => `- ${text ?? ""}`),
    ),
    block(
      "ask_for",
      asks.map((ask) => `- ${ask}`),
    ),
    block("customer", facts(known.profile, withheld)),
    block("values", [...facts(known.variables), ...facts(known.fields, withheld)]),
    block(
      "tool_results",
      Object.entries(known.results).map(([name, result]) => `${name}: ${JSON.stringify(result)}`),
    ),
    block("remembered", memories),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

/** Names and values, a line each, without those held back from a model. */
export function facts(
  values: JsonRecord,
  withheld: ReadonlySet<string> = new Set(),
): readonly string[] {
  return Object.entries(values)
    .filter(([name]) => !withheld.has(name))
    .map(
      ([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
}

function block(name: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : `<${name}>\n${lines.join("\n")}\n</${name}>`;
}

function lastMessage({ message, shown }: PromptQuestion): string {
  if (shown === "") return message;
  return `${message}\n\n<already_said>\n${shown}\n</already_said>\nGo on right after what you have already said, without repeating it.`;
}

function remembered({ found }: MemoryHit): string {
  switch (found.case) {
    case "episode":
    case "summary":
      return `- ${found.value.text}`;
    case "fact": {
      const { subject, predicate, value } = found.value;
      const object =
        value.case === "object" ? value.value : JSON.stringify(value.value?.kind.value);
      return `- ${subject} ${predicate} ${object}`;
    }
    case undefined:
      return "";
  }
}

function within(texts: readonly string[], tokensMax: number): readonly string[] {
  let used = 0;
  return texts.filter((text) => {
    used += tokensIn(text);
    return used <= tokensMax;
  });
}

/** As many whole turns from the end as fit. */
function latest(history: readonly SessionTurn[], tokensMax: number): Prompt["messages"] {
  const messages: { role: "user" | "assistant"; text: string }[] = [];
  let used = 0;
  for (const { userText, replyText } of history.toReversed()) {
    used += tokensIn(userText) + tokensIn(replyText);
    if (used > tokensMax) break;
    if (replyText) messages.unshift({ role: "assistant", text: replyText });
    messages.unshift({ role: "user", text: userText });
  }
  return messages;
}
