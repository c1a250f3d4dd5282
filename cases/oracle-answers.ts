import type { CaseNames } from "./names.ts";
import { moveFor, fieldsFor } from "./oracle-moves.ts";
import type { Question, Schema } from "./oracle-question.ts";
import { callsFor } from "./oracle-tools.ts";
import type { Plan } from "./plan.ts";
import type { Called } from "./tool-server.ts";

/** All that the stand-in may know. */
export interface Knowledge {
  readonly plan: Plan;
  readonly names: CaseNames;
  /** What was really called so far: nothing is asked for twice. */
  readonly called: readonly Called[];
  readonly question: Question;
  /** Texts for the customer that were asked for before. */
  readonly writtenBefore: number;
}

/** A value of the shape: what we have a view on by its name, the least that fits otherwise. */
export function structuredAnswer(schema: Schema, known: Knowledge): unknown {
  const answers: Readonly<Record<string, (own: Schema) => unknown>> = {
    intent: () => `The customer says: ${known.plan.liveTexts.at(-1) ?? ""}`,
    topic: () => known.plan.case.area,
    sentiment: () => 0,
    signal: () => (moveFor(known).kind === "entry" ? "start" : "none"),
    rules: (own) => itemsOf(own, verdicts(known)),
    move: (own) => withDefaults(own, { ...moveFor(known) }),
    fields: (own) =>
      itemsOf(
        own,
        "template" in (schema.properties ?? {}) ? generatedFor(known) : fieldsFor(known),
      ),
    calls: (own) => itemsOf(own, callsFor(known)),
    template: () => templateFor(known),
    demands: (own) => itemsOf(own, demandsFor(known)),
  };
  return Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([name, own]) => [
      name,
      answers[name] ? answers[name](own) : leastOf(own, name),
    ]),
  );
}

function itemsOf(schema: Schema, items: readonly Readonly<Record<string, unknown>>[]): unknown {
  return items.map((item) => withDefaults(schema.items ?? {}, item));
}

/** The object with all that the shape demands; what the shape does not know is left out. */
function withDefaults(schema: Schema, known: Readonly<Record<string, unknown>>): unknown {
  const properties = schema.properties ?? {};
  return Object.fromEntries(
    Object.entries(properties).map(([name, own]) => [
      name,
      name in known ? known[name] : leastOf(own, name),
    ]),
  );
}

function leastOf(schema: Schema, name: string): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf?.[0])
    return leastOf(schema.anyOf.find(({ type }) => type === "null") ?? schema.anyOf[0], name);
  const type = Array.isArray(schema.type) ? (schema.type as unknown[])[0] : schema.type;
  switch (type) {
    case "string":
      return "";
    case "number":
    case "integer":
      return name === "confidence" ? 0.95 : 0;
    case "boolean":
      return /^(kept|keeps|ok|passed|good|fine|holds)$/.test(name);
    case "array":
      return [];
    case "object":
      return withDefaults(schema, {});
    default:
      return null;
  }
}

/** Whether each rule in question applies: as expected, and else as its conversation is meant to go. */
function verdicts({ plan, names, question }: Knowledge) {
  const { agent, given, expect } = plan.case;
  const named = (key: string) =>
    Array.isArray(expect[key]) ? (expect[key] as unknown[]) : undefined;
  const yes = [named("rules_match"), named("rules_active_exactly"), named("rules_active")].filter(
    (list) => list !== undefined,
  );
  const no = [...(named("rules_not_match") ?? []), ...(named("rules_not_active") ?? [])];
  const asked = [...(named("disambiguation") ?? [])];
  const applies = (id: string): boolean => {
    if (given.matched_rules) return given.matched_rules.includes(id);
    if (asked.includes(id)) return true; // plausible each; which one is meant is what is asked
    if (no.includes(id)) return false;
    if (yes.some((list) => list.includes(id))) return true;
    // What a relation brings in or drops was judged by its own condition before.
    if ((named("rules_dropped") ?? []).includes(id)) return true;
    return yes.length === 0 || isDriven(id);
  };
  /** Its tool or its template is expected. */
  const isDriven = (id: string) => {
    const rule = agent.rules.find((each) => each.id === id);
    const tools = JSON.stringify(
      Object.entries(expect).filter(([key]) => key.startsWith("tool_calls")),
    );
    return rule?.tools.some((tool) => tools.includes(`"${tool}"`)) ?? false;
  };
  return [...question.entries("rules")].map(([alias, text]) => {
    const rule = agent.rules
      .filter(({ when, examples }) => text.startsWith(when || examples.join(" / ")))
      .toSorted((a, b) => (b.when?.length ?? 0) - (a.when?.length ?? 0))[0];
    const applied = rule ? applies(rule.id) : names.things.back(text) !== text;
    return { id: alias, applies: applied, confidence: 0.95, reason: "as the case has it" };
  });
}

/** The template that is expected, by its id in the question. */
function templateFor({ plan, question }: Knowledge): string {
  const { expect, agent } = plan.case;
  const wanted = expect["template"];
  const templates = [...question.entries("templates")];
  if (typeof wanted !== "string") return templates[0]?.[0] ?? "none";
  const text = agent.templates.find(({ id }) => id === wanted)?.text;
  const plain = (words: string) => words.replaceAll(/\{+[^{}]*\}+/g, "").replaceAll(/\s+/g, " ");
  return (
    templates.find(([, shown]) => text !== undefined && likens(plain(shown), plain(text)))?.[0] ??
    "none"
  );
}

/** Names may have been filled in already: what is around them must be there in order. */
function likens(shown: string, text: string): boolean {
  return text
    .split(/(?<=[.,!?$:])\s*|\s{2,}/)
    .filter((part) => part.length > 3)
    .every((part) => shown.includes(part.trim().slice(0, 20)));
}

/** What a template leaves to the model, read off the reply that is expected. */
function generatedFor({ plan }: Knowledge) {
  const { expect, agent } = plan.case;
  const template = agent.templates.find(({ id }) => id === expect["template"]);
  const reply = expect["reply_text_equals"];
  if (!template || typeof reply !== "string") return [];
  const names: string[] = [];
  const pattern = template.text
    .split(/(\{\{[^{}]+\}\})/)
    .map((part) => {
      const [, name] = /^\{\{\s*(.+?)\s*\}\}$/.exec(part) ?? [];
      if (name === undefined) return part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
      names.push(name);
      return "(.+?)";
    })
    .join("");
  const values = new RegExp(`^${pattern}$`, "s").exec(reply)?.slice(1) ?? [];
  return names.flatMap((name, i) =>
    name.startsWith("generative.")
      ? [{ name: name.slice("generative.".length), value: values[i] ?? "" }]
      : [],
  );
}

function demandsFor({ question }: Knowledge) {
  const demands = [...question.entries("demands").keys()];
  return demands.map((id) => ({ id, kept: true, reason: "" }));
}

/** Words for the customer: what was approved, and what the case expects to hear. */
export function replyTo({ plan, question, writtenBefore }: Knowledge): string {
  const { expect, given } = plan.case;
  const written = given.model_says[Math.min(writtenBefore, given.model_says.length - 1)];
  if (written !== undefined) return written;
  const texts = (key: string) =>
    [expect[key] ?? []].flat().filter((each): each is string => typeof each === "string");
  const exact = texts("reply_text_equals");
  if (exact.length > 0) return exact.join(" ");
  const approved = question.block("suggested_words").map((line) => line.replace(/^- /, ""));
  const asks = question.block("ask_for").map((line) => line.replace(/^- /, ""));
  const said = [...approved, ...asks].join(" ");
  const rest = [...texts("reply_contains"), ...texts("reply_contains_any").slice(0, 1)].filter(
    (part) => !said.toLowerCase().includes(part.toLowerCase()),
  );
  return [said, rest.join(", ")].filter(Boolean).join(" ") || "Certainly, let me see to that.";
}
