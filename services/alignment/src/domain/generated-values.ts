import type { TemplateCandidate } from "./templates.ts";

/** A value stands in the middle of an author's sentence: it is a name, a number, a few words. */
export const valueLengthMax = 200;

/** A template with what a model has filled in, or why it can't be said like that. */
export type FilledTemplate =
  | { readonly text: string; readonly reason?: never }
  | { readonly text?: never; readonly reason: string };

/**
 * Puts a model's values into a template, by their names without "generative.". A value is one line of
 * at most valueLengthMax characters: more than that is no value but a text of the model's own.
 */
export function withGenerated(
  { parts }: Pick<TemplateCandidate, "parts">,
  values: ReadonlyMap<string, string>,
): FilledTemplate {
  const texts: string[] = [];
  for (const part of parts) {
    if (part.kind !== "generative") {
      texts.push(part.text);
      continue;
    }
    const value = values.get(part.name)?.trim() ?? "";
    const refused = (why: string) => ({ reason: `the model's generative.${part.name} ${why}` });
    if (value === "") return refused("is missing");
    if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(value)) return refused("has more than one line");
    const length = Array.from(value).length;
    if (length > valueLengthMax)
      return refused(`has ${length} characters, at most ${valueLengthMax} allowed`);
    texts.push(value);
  }
  return { text: texts.join("").trim() };
}
