import { type MatchIndex, matchIndex } from "@soldier/retrieval/match-index";

/** What is matched against a message: a condition in plain language, and what customers might say. */
export interface Matchable {
  readonly condition: string;
  readonly examples: readonly string[];
}

/** Finds the vector of a text; undefined when there is none. */
export type VectorOf = (text: string) => Float32Array | undefined;

export function textsOf({ condition, examples }: Matchable): readonly string[] {
  return [condition, ...examples].filter((text) => text.trim() !== "");
}

/** Scores messages against each of them, in their order. */
export function indexOf(
  matchables: readonly Matchable[],
  dimensions: number,
  vectorOf: VectorOf,
): MatchIndex {
  const entries = matchables.map(textsOf).map((texts) => ({
    texts,
    vectors: texts.flatMap((text) => vectorOf(text) ?? []),
  }));
  return matchIndex(entries, dimensions);
}
