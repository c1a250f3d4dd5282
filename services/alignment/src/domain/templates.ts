import type { TemplatePart } from "@soldier/kernel/template-text";
import type { Rule } from "@soldier/proto/config/v1/rule";
import type { Step } from "@soldier/proto/config/v1/scenario";
import { TemplateKind, TemplateMode } from "@soldier/proto/config/v1/template";
import type { CompiledBundle, CompiledTemplate } from "./compiled-bundle.ts";
import type { Bindings } from "./expressions.ts";
import type { Json } from "./json.ts";
import { fieldIn, type KnownValues, lookUp, sayable } from "./known-values.ts";
import { agentsReplyMode, replyMode } from "./reply-mode.ts";
import { inScope, isGlobal, type Place } from "./scope.ts";

/** A template that may be said in this turn, with its text or the reason why it can't be. */
export interface TemplateCandidate {
  readonly id: string;
  readonly name: string;
  readonly mode: "SUGGEST" | "EXCLUSIVE" | "FALLBACK";
  /** Undefined: not eligible, for `reason`. */
  readonly text: string | undefined;
  readonly reason: string;
  readonly priority: number;
  /** The rule that names it; undefined for one of the step or of its own scope. */
  readonly rule: Rule | undefined;
  /** An applied rule or the step names it; else it offers itself. */
  readonly named: boolean;
  /** A model could say it: nothing is against it but names {generative.x}, which only a model fills in. */
  readonly isFillable: boolean;
  /** Its text in pieces, all values filled in but those that a model is to find; empty when refused. */
  readonly parts: readonly FilledPart[];
  /** Fields without whose values it can't be said, and that are withheld for want of consent. */
  readonly withheld: readonly string[];
}

/** A piece of a template's text: the author's words, the value of a name, or a model's to fill in. */
export type FilledPart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "value"; readonly text: string; readonly name: string }
  /** The name without "generative.". */
  | { readonly kind: "generative"; readonly name: string };

export interface TemplateQuestion {
  readonly bundle: CompiledBundle;
  readonly applied: readonly Rule[];
  readonly step: Step | undefined;
  readonly place: Place;
  readonly known: KnownValues;
  readonly bindings: Bindings;
  /** Tools that should have run and did not succeed, by id. */
  readonly unfinished: ReadonlySet<string>;
}

type Standing = Pick<TemplateQuestion, "bundle" | "place" | "known" | "bindings">;

/**
 * The templates of this turn in the order in which they are preferred: those of applied rules, then of
 * the step, then those that belong to this place or moment without being named. PREAMBLEs are not
 * among them: they never answer.
 */
export function templateCandidates(question: TemplateQuestion): readonly TemplateCandidate[] {
  const { bundle, applied, step } = question;
  const seen = new Set<string>();
  const once = (ids: readonly string[], rule: Rule | undefined, named: boolean) =>
    ids
      .flatMap((id) => bundle.templatesById.get(id) ?? [])
      .filter(({ template }) => !isPreamble(template))
      .filter(({ template }) => !seen.has(template.id) && Boolean(seen.add(template.id)))
      .toSorted((a, b) => b.template.priority - a.template.priority)
      .map((compiled) => candidate(compiled, rule, question, named));
  return [
    ...applied.flatMap((rule) =>
      truthful(once(rule.templateIds, rule, true), rule.toolIds, question),
    ),
    ...truthful(once(step?.templateIds ?? [], undefined, true), step?.toolIds ?? [], question),
    ...once(
      unnamed(question).map(({ template }) => template.id),
      undefined,
      false,
    ),
  ];
}

/** What a reply may open with ("Let me look."): PREAMBLEs of rules, step and place that can be said now. */
export function preambles(question: TemplateQuestion): readonly string[] {
  const { bundle, applied, step, place } = question;
  const ids = [...applied.flatMap(({ templateIds }) => templateIds), ...(step?.templateIds ?? [])];
  const found = [
    ...ids.flatMap((id) => bundle.templatesById.get(id) ?? []),
    ...bundle.unnamedTemplates.filter(({ template }) => inScope(template, place)),
  ].filter(({ template }) => isPreamble(template));
  const texts = found.flatMap((each) => candidate(each, undefined, question).text ?? []);
  return [...new Set(texts)];
}

/**
 * Templates that nobody names speak for a place, or for the moment that their conditions describe;
 * where every reply is a template, those for everywhere speak for themselves.
 */
function unnamed({ bundle, place }: TemplateQuestion): readonly CompiledTemplate[] {
  const offersAll =
    agentsReplyMode(bundle) === "EXCLUSIVE" && replyMode(bundle, place) === "EXCLUSIVE";
  return bundle.unnamedTemplates.filter(
    ({ template }) =>
      inScope(template, place) &&
      (!isGlobal(template) ||
        (template.mode !== TemplateMode.FALLBACK && (offersAll || template.conditions !== ""))),
  );
}

function isPreamble({ kind }: CompiledTemplate["template"]): boolean {
  return kind === TemplateKind.PREAMBLE;
}

/**
 * Words for a deed must wait for the deed: while a tool has not succeeded, only fallbacks may be said,
 * and templates whose own conditions show that their author has thought of it.
 */
function truthful(
  candidates: readonly TemplateCandidate[],
  toolIds: readonly string[],
  { unfinished, bundle }: TemplateQuestion,
): readonly TemplateCandidate[] {
  const failed = toolIds.find((id) => unfinished.has(id));
  if (failed === undefined) return candidates;
  const name = bundle.toolsById.get(failed)?.name ?? failed;
  return candidates.map((each) => {
    const own = bundle.templatesById.get(each.id)?.template.conditions ?? "";
    if (each.mode === "FALLBACK" || own !== "" || each.parts.length === 0) return each;
    return refusedFor(each, `its tool has not succeeded: ${name}`);
  });
}

/** The candidate, no longer eligible. */
export function refusedFor(candidate_: TemplateCandidate, reason: string): TemplateCandidate {
  return { ...candidate_, text: undefined, isFillable: false, parts: [], reason };
}

export function candidate(
  compiled: CompiledTemplate,
  rule: Rule | undefined,
  { bundle, place, known, bindings }: Standing,
  named = false,
): TemplateCandidate {
  const { template } = compiled;
  const bare: TemplateCandidate = {
    id: template.id,
    name: template.name,
    mode: modes[template.mode] ?? "SUGGEST",
    priority: template.priority,
    rule,
    named,
    text: undefined,
    isFillable: false,
    parts: [],
    withheld: [],
    reason: "",
  };
  if (!inScope(template, place)) return refusedFor(bare, "out of scope");
  const conditions = bundle.expressions.evaluate(template.conditions, bindings);
  if (!conditions.holds)
    return refusedFor(
      bare,
      conditions.error ? `conditions: ${conditions.error}` : "its conditions are false",
    );
  const values = sayable(known);
  const missing = template.requiredNames.filter((name) => !isGiven(lookUp(values, name)));
  const { parts, unresolved } = filled(compiled.parts, values);
  const held = [...missing, ...unresolved].filter((name) => lookUp(known, name) !== undefined);
  if (held.length > 0) {
    const fields = [...new Set(held.map(fieldIn))].filter((name) => known.withheld.has(name));
    const why = fields.map((name) => `${name} (${known.withheld.get(name)?.purpose ?? ""})`);
    const refused = refusedFor(bare, `no consent to say: ${why.join(", ")}`);
    if (fields.length > 0) return { ...refused, withheld: fields };
  }
  if (missing.length > 0) return refusedFor(bare, `required: ${missing.join(", ")}`);
  if (unresolved.length > 0) return refusedFor(bare, `unresolved: ${unresolved.join(", ")}`);
  const toFill = parts.flatMap((part) => (part.kind === "generative" ? [part.name] : []));
  if (toFill.length > 0) {
    const names = [...new Set(toFill)].map((name) => `generative.${name}`).join(", ");
    return { ...bare, parts, isFillable: true, reason: `needs a model to fill in ${names}` };
  }
  const text = saidOf(parts);
  return text === "" ? refusedFor(bare, "it says nothing") : { ...bare, parts, text };
}

/** Every name but the model's own, which have no value yet; a name without a value is never a hole. */
function filled(
  parts: readonly TemplatePart[],
  known: KnownValues,
): { readonly parts: readonly FilledPart[]; readonly unresolved: readonly string[] } {
  const unresolved = new Set<string>();
  const made = parts.map((part): FilledPart => {
    if (part.kind === "text") return part;
    const own = generativeName(part.name);
    if (own !== undefined) return { kind: "generative", name: own };
    const value = spoken(lookUp(known, part.name));
    if (value === undefined) unresolved.add(part.name);
    return { kind: "value", text: value ?? "", name: part.name };
  });
  return { parts: made, unresolved: [...unresolved] };
}

function saidOf(parts: readonly FilledPart[]): string {
  return parts
    .map((part) => (part.kind === "generative" ? "" : part.text))
    .join("")
    .trim();
}

/** "account_balance" of "generative.account_balance"; undefined for a name of another kind. */
function generativeName(name: string): string | undefined {
  return name.startsWith(generativePrefix) ? name.slice(generativePrefix.length) : undefined;
}

const generativePrefix = "generative.";

/** The names whose values a template needs; what a model fills in it may know under the same name. */
export function namesOf({ parts, template }: CompiledTemplate): readonly string[] {
  const inText = parts.flatMap((part) => (part.kind === "name" ? [part.name] : []));
  return [...inText.map((name) => generativeName(name) ?? name), ...template.requiredNames];
}

/** A value as it can be said, lists joined by commas; undefined for one that can't, such as an object. */
export function spoken(value: Json | undefined): string | undefined {
  if (typeof value === "string") return value === "" ? undefined : value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const items = value.map(spoken);
  return items.every((item) => item !== undefined) ? items.join(", ") : undefined;
}

/** Whether there is something: an object counts, an empty text or list does not. */
function isGiven(value: Json | undefined): boolean {
  return value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0);
}

const modes: Partial<Record<TemplateMode, TemplateCandidate["mode"]>> = {
  [TemplateMode.SUGGEST]: "SUGGEST",
  [TemplateMode.EXCLUSIVE]: "EXCLUSIVE",
  [TemplateMode.FALLBACK]: "FALLBACK",
};
