import { usualStem } from "@soldier/retrieval/irregular-forms";
import { tokenize } from "@soldier/retrieval/tokenize";

/** The words that a text is searched by. */
export function lexicalWords(text: string): readonly string[] {
  return tokenize(text).map(usualStem);
}
