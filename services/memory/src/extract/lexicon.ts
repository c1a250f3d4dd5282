import { foldedName } from "../domain/canonical.ts";
import type { EntityType } from "../domain/finding.ts";

/** A name that a tenant knows. */
export interface KnownName {
  readonly name: string;
  readonly type: EntityType;
}

/** Names of organisations, products and others that no general list has. */
export interface Lexicon {
  /** The longest known name that begins at this character of the text. */
  at(text: string, start: number): { readonly known: KnownName; readonly end: number } | undefined;
  /** All of them in the text, without overlaps. */
  all(
    text: string,
  ): readonly { readonly known: KnownName; readonly start: number; readonly end: number }[];
}

const word = /[\p{L}\p{N}]+(?:['’.&-][\p{L}\p{N}]+)*/gu;
/** A known name has at most so many words. */
const wordsMax = 6;

export function lexiconOf(names: readonly KnownName[]): Lexicon {
  const byName = new Map(names.map((known) => [foldedName(known.name), known]));
  if (byName.size === 0) return { at: () => undefined, all: () => [] };

  function at(text: string, start: number) {
    const ends = [...text.slice(start, start + 200).matchAll(word)]
      .slice(0, wordsMax)
      .map((match) => start + match.index + match[0].length);
    for (const end of ends.toReversed()) {
      const known = byName.get(foldedName(text.slice(start, end)));
      if (known) return { known, end };
    }
    return undefined;
  }

  return {
    at,
    all(text) {
      const found: { known: KnownName; start: number; end: number }[] = [];
      let past = 0;
      for (const match of text.matchAll(word)) {
        if (match.index < past) continue;
        const there = at(text, match.index);
        if (!there) continue;
        found.push({ ...there, start: match.index });
        past = there.end;
      }
      return found;
    },
  };
}
