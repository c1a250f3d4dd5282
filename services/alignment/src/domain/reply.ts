import type { TemplateCandidate } from "./templates.ts";

/** A reply that needs no model. */
export interface PlannedReply {
  readonly source: "template" | "prompt" | "fallback" | "built_in";
  readonly text: string;
  /** The templates that it is made of. */
  readonly templateIds: readonly string[];
  /** Why nothing better was said, for a fallback. */
  readonly reason: string;
}

export interface ReplyQuestion {
  readonly candidates: readonly TemplateCandidate[];
  /** What the agent must know before it can go on, as questions to the customer. */
  readonly asks: readonly string[];
  /** The session came to its step in this turn. */
  readonly arrived: boolean;
  /** How the step asks for what it collects, while that is unknown; empty for nothing. */
  readonly stepAsks: string;
  /** What the step is for, in the author's words; empty when in no scenario. */
  readonly stepInstructions: string;
}

/** What rules say by templates in one turn, at most: more is a lecture. */
const ruleRepliesMax = 2;

/** One template, word for word. */
export function saidByTemplate({ id }: TemplateCandidate, text: string, reason = ""): PlannedReply {
  return { source: "template", text, templateIds: [id], reason };
}

/** What the engine has to ask before it can go on, in its author's words. */
export function asking(asks: readonly string[]): PlannedReply {
  return { source: "prompt", text: distinct(asks).join("\n\n"), templateIds: [], reason: "" };
}

/**
 * A reply from templates and prompts alone: what the rules have to say, then what the agent needs to
 * know, then the step's own words. Nothing is said twice. Undefined when there is nothing to say.
 */
export function composedReply(question: ReplyQuestion): PlannedReply | undefined {
  const usable = question.candidates.filter(
    ({ mode, text }) => mode === "SUGGEST" && text !== undefined,
  );
  const ofRules = firstOfEach(usable.filter(({ rule }) => rule)).slice(0, ruleRepliesMax);
  const ofStep = usable.filter(({ rule }) => !rule).slice(0, 1);
  // A question that was interrupted is asked again, the step's whole text is not.
  const speaks = question.arrived || ofRules.length === 0 ? ofStep : [];
  const asksMore = question.asks.length > 0;
  const templates = [...ofRules, ...(asksMore ? [] : speaks)];
  const asks = asksMore ? question.asks : speaks.length > 0 ? [] : [question.stepAsks];
  const paragraphs = distinct([...templates.map(({ text }) => text ?? ""), ...asks]);
  if (paragraphs.length > 0) {
    const planned = said(templates);
    return {
      ...planned,
      source: templates.length > 0 ? "template" : "prompt",
      text: paragraphs.join("\n\n"),
    };
  }
  if (question.stepInstructions === "") return undefined;
  return { source: "prompt", text: question.stepInstructions, templateIds: [], reason: "" };
}

/**
 * What a rule has said word for word, and after it what the step says that the session came to with the
 * same message: without it the next message would answer a question that nobody has asked.
 */
export function withArrival(
  planned: PlannedReply,
  candidates: readonly TemplateCandidate[],
): PlannedReply {
  const isRules = candidates.some(({ id, rule }) => rule && planned.templateIds.includes(id));
  const step = candidates.find(
    ({ rule, mode, text }) => !rule && mode !== "FALLBACK" && text !== undefined,
  );
  if (!isRules || !step || planned.source !== "template") return planned;
  const text = distinct([planned.text, step.text ?? ""]).join("\n\n");
  return { ...planned, text, templateIds: [...planned.templateIds, step.id] };
}

/**
 * The first FALLBACK template that suits: the rules' own, then the agent's; else a built-in sentence
 * that suits at last.
 */
export function fallbackReply(
  candidates: readonly TemplateCandidate[],
  agents: TemplateCandidate | undefined,
  reason: string,
  suits: (text: string) => boolean = () => true,
  suitsAtLast: (text: string) => boolean = () => true,
): PlannedReply {
  const found = [
    ...candidates.filter(({ mode }) => mode === "FALLBACK"),
    ...(agents ? [agents] : []),
  ]
    .filter(({ text }) => text !== undefined && suits(text))
    .at(0);
  if (found) return { ...said([found]), source: "fallback", reason };
  // Where even these must not be said, silence is the only words left.
  const text = [builtInSentence, ...builtInInstead].find(suitsAtLast) ?? "";
  return { source: "built_in", text, templateIds: [], reason };
}

export const builtInSentence =
  "I'm sorry, I can't help with that right now. Could you put it another way, or try again in a moment?";

/** For where the sentence itself is forbidden. */
const builtInInstead = ["One moment, please.", "…"];

/** What is said when the customer has left a scenario and nothing else was meant. */
export const builtInLeave: PlannedReply = {
  source: "built_in",
  text: "All right, I'll leave it at that. Is there anything else I can do for you?",
  templateIds: [],
  reason: "",
};

function said(candidates: readonly TemplateCandidate[]): PlannedReply {
  return {
    source: "template",
    text: candidates.map(({ text }) => text ?? "").join("\n\n"),
    templateIds: candidates.map(({ id }) => id),
    reason: "",
  };
}

function firstOfEach(candidates: readonly TemplateCandidate[]): readonly TemplateCandidate[] {
  const seen = new Set<string>();
  return candidates.filter(({ rule }) => {
    const id = rule?.id ?? "";
    return !seen.has(id) && Boolean(seen.add(id));
  });
}

/** Without empty ones and without those that another one already says. */
function distinct(texts: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (const text of texts.map((each) => each.trim()))
    if (text !== "" && !kept.some((other) => same(other).includes(same(text)))) kept.push(text);
  return kept;
}

function same(text: string): string {
  return text.toLowerCase().replaceAll(/\s+/g, " ");
}
