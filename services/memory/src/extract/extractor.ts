import type { Episode } from "../domain/episode.ts";
import type { Extraction } from "../domain/finding.ts";
import type { KnownName } from "./lexicon.ts";

/** An episode with the names that are known where it belongs. */
export interface Readable {
  readonly episode: Episode;
  readonly names: readonly KnownName[];
}

/** Reads episodes: one extraction each, in order. */
export type Extractor = (
  episodes: readonly Readable[],
  signal: AbortSignal,
) => Promise<readonly Extraction[]>;
