import type { Episode } from "../domain/episode.ts";
import type { Finding } from "../domain/finding.ts";
import type { Lexicon } from "./lexicon.ts";

/** A kind of number or code that customers name, e.g. of an order. */
export interface Identifier {
  /** Its predicate. */
  readonly predicate: string;
  /** All of them in a text. */
  in(
    text: string,
  ): readonly { readonly value: string; readonly start: number; readonly end: number }[];
}

/** What patterns can't know by themselves. */
export interface PatternContext {
  readonly lexicon: Lexicon;
  readonly identifiers: readonly Identifier[];
  /** ISO 3166-1 alpha-2, of phone numbers without a prefix; undefined: such are not read. */
  readonly country: string | undefined;
}

export type ReadEpisode = Pick<Episode, "text" | "role" | "occurredAt" | "customerId">;

/** Reads claims from texts of one language, by patterns alone. */
export interface LanguagePatterns {
  /** ISO 639-1. */
  readonly language: string;
  /** Whether a text is in this language, as far as short texts tell. */
  speaks(text: string): boolean;
  /** Without side effects; cheap where nothing is said. */
  find(episode: ReadEpisode, context: PatternContext): readonly Finding[];
}
