import { type Matchable, matchedTexts } from "@soldier/retrieval/condition-text";
import { type MatchIndex, matchIndex } from "@soldier/retrieval/match-index";

/** Finds the vector of a text that is matched; undefined when there is none. */
export type VectorOf = (text: string) => Float32Array | undefined;

/** Its vectors, one of the condition and one of each example, as far as there are any. */
export function vectorsFor(matchable: Matchable, vectorOf: VectorOf): readonly Float32Array[] {
  return matchedTexts([matchable]).flatMap(({ text }) => vectorOf(text) ?? []);
}

/** Scores messages against each of them, in their order; without what is common to all. */
export function indexOf(
  matchables: readonly Matchable[],
  dimensions: number,
  vectorOf: VectorOf,
  common: Float32Array,
): MatchIndex {
  const entries = matchables.map((matchable) => ({
    texts: matchedTexts([matchable]).map(({ text }) => text),
    vectors: vectorsFor(matchable, vectorOf),
  }));
  return matchIndex(entries, dimensions, common);
}
