import type { Extraction } from "../domain/finding.ts";
import { english } from "./english/english.ts";
import { patternExtractor } from "./pattern-version.ts";
import type { LanguagePatterns, PatternContext, ReadEpisode } from "./language.ts";

const languages: readonly LanguagePatterns[] = [english];

/** Claims by patterns alone. What is in no language that we know says nothing. */
export function extractByPatterns(episode: ReadEpisode, context: PatternContext): Extraction {
  const patterns = languages.find((each) => each.speaks(episode.text));
  return { extractor: patternExtractor, findings: patterns?.find(episode, context) ?? [] };
}
