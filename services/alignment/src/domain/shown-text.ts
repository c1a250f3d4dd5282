import type { TemplateCandidate } from "./templates.ts";

/** A template's text as a model sees it when it chooses: names that it is to fill in stand in braces. */
export function shownText({ parts }: TemplateCandidate): string {
  return parts
    .map((part) => (part.kind === "generative" ? `{generative.${part.name}}` : part.text))
    .join("")
    .trim();
}

/**
 * The templates whose words a model may adapt. What it has to find itself is told in words, because it
 * is to write no braces.
 */
export function suggestionsOf(
  candidates: readonly TemplateCandidate[],
): readonly TemplateCandidate[] {
  return candidates
    .filter(
      ({ mode, text, isFillable }) => mode === "SUGGEST" && (text !== undefined || isFillable),
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
