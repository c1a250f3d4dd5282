import { segmentsOf } from "@soldier/kernel/template-text";
import type { TemplateCandidate } from "./templates.ts";

/** A template's text as a model sees it when it chooses: names that it is to fill in stand in braces. */
export function shownText(
  { parts }: TemplateCandidate,
  withheld: ReadonlySet<string> = new Set(),
): string {
  return parts
    .map((part) => {
      if (part.kind === "generative") return `{generative.${part.name}}`;
      return part.kind === "value" && withheld.has(fieldIn(part.name))
        ? `{${part.name}}`
        : part.text;
    })
    .join("")
    .trim();
}

/**
 * The templates whose words a model may adapt. What it has to find itself is told in words, because it
 * is to write no braces; a text with a value that is withheld from it can't be suggested at all.
 */
export function suggestionsOf(
  candidates: readonly TemplateCandidate[],
  withheld: ReadonlySet<string>,
): readonly TemplateCandidate[] {
  return candidates
    .filter(
      ({ mode, text, isFillable }) => mode === "SUGGEST" && (text !== undefined || isFillable),
    )
    .filter(
      ({ parts }) =>
        !parts.some((part) => part.kind === "value" && withheld.has(fieldIn(part.name))),
    )
    .map((candidate) => ({ ...candidate, text: toAdapt(candidate) }));
}

function toAdapt({ parts }: TemplateCandidate): string {
  return parts
    .map((part) =>
      part.kind === "generative" ? `[${part.name.replaceAll(/[._-]+/g, " ")}]` : part.text,
    )
    .join("")
    .trim();
}

/** The field that a name may mean: "email" in "profile.email", "fields.email" and "email". */
function fieldIn(name: string): string {
  const [head = "", next = head] = segmentsOf(name);
  return ["profile", "fields", "session"].includes(head) ? next : head;
}
