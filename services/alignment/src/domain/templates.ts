import type { Rule } from "@soldier/proto/config/v1/rule";
import type { Step } from "@soldier/proto/config/v1/scenario";
import { TemplateMode } from "@soldier/proto/config/v1/template";
import type { CompiledBundle, CompiledTemplate } from "./compiled-bundle.ts";
import type { Bindings } from "./expressions.ts";
import type { Json } from "./json.ts";
import { type KnownValues, lookUp } from "./known-values.ts";
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
}

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

/**
 * The templates of this turn in the order in which they are preferred: those of applied rules, then of
 * the step, then those that belong to this place or moment without being named.
 */
export function templateCandidates(question: TemplateQuestion): readonly TemplateCandidate[] {
  const { bundle, applied, step, place } = question;
  const seen = new Set<string>();
  const once = (ids: readonly string[], rule: Rule | undefined) =>
    ids
      .flatMap((id) => bundle.templatesById.get(id) ?? [])
      .filter(({ template }) => !seen.has(template.id) && Boolean(seen.add(template.id)))
      .toSorted((a, b) => b.template.priority - a.template.priority)
      .map((compiled) => candidate(compiled, rule, question));
  const named = [
    ...applied.flatMap((rule) => truthful(once(rule.templateIds, rule), rule.toolIds, question)),
    ...truthful(once(step?.templateIds ?? [], undefined), step?.toolIds ?? [], question),
  ];
  // Unnamed templates speak for a place, or for the moment that their conditions describe.
  const unnamed = bundle.unnamedTemplates.filter(
    ({ template }) =>
      template.mode !== TemplateMode.FALLBACK &&
      inScope(template, place) &&
      (!isGlobal(template) || template.conditions !== ""),
  );
  return [
    ...named,
    ...once(
      unnamed.map(({ template }) => template.id),
      undefined,
    ),
  ];
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
    if (each.mode === "FALLBACK" || own !== "" || each.text === undefined) return each;
    return { ...each, text: undefined, reason: `its tool has not succeeded: ${name}` };
  });
}

export function candidate(
  compiled: CompiledTemplate,
  rule: Rule | undefined,
  {
    bundle,
    place,
    known,
    bindings,
  }: Pick<TemplateQuestion, "bundle" | "place" | "known" | "bindings">,
): TemplateCandidate {
  const { template } = compiled;
  const described = {
    id: template.id,
    name: template.name,
    mode: modes[template.mode] ?? "SUGGEST",
    priority: template.priority,
    rule,
  } as const;
  const refused = (reason: string) => ({ ...described, text: undefined, reason });
  if (!inScope(template, place)) return refused("out of scope");
  const conditions = bundle.expressions.evaluate(template.conditions, bindings);
  if (!conditions.holds)
    return refused(
      conditions.error ? `conditions: ${conditions.error}` : "its conditions are false",
    );
  const { text, unresolved } = rendered(compiled, known);
  if (unresolved.length > 0) return refused(`unresolved: ${unresolved.join(", ")}`);
  if (text === "") return refused("it says nothing");
  return { ...described, text, reason: "" };
}

/** The text with every name filled in; a name without a value makes it unusable, never a hole. */
export function rendered(
  { parts }: CompiledTemplate,
  known: KnownValues,
): { readonly text: string; readonly unresolved: readonly string[] } {
  const unresolved: string[] = [];
  const text = parts
    .map((part) => {
      if (part.kind === "text") return part.text;
      const value = spoken(lookUp(known, part.name));
      if (value === undefined) unresolved.push(part.name);
      return value ?? "";
    })
    .join("");
  return { text: text.trim(), unresolved };
}

/** The names that a template needs. */
export function namesOf({ parts }: CompiledTemplate): readonly string[] {
  return parts.flatMap((part) => (part.kind === "name" ? [part.name] : []));
}

/** A value as it can be said; undefined for one that can't, such as an object. */
export function spoken(value: Json | undefined): string | undefined {
  if (typeof value === "string") return value === "" ? undefined : value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const items = value.map(spoken);
  return items.every((item) => item !== undefined) ? items.join(", ") : undefined;
}

const modes: Partial<Record<TemplateMode, TemplateCandidate["mode"]>> = {
  [TemplateMode.SUGGEST]: "SUGGEST",
  [TemplateMode.EXCLUSIVE]: "EXCLUSIVE",
  [TemplateMode.FALLBACK]: "FALLBACK",
};
