import { conditionTexts } from "@soldier/retrieval/condition-text";
import { type MatchIndex, matchIndex } from "@soldier/retrieval/match-index";
import { centroid } from "@soldier/retrieval/vectors";

/** What is matched against a message: a condition in plain language, and what customers might say. */
export interface Matchable {
  readonly condition: string;
  readonly examples: readonly string[];
}

/** Finds the vector of a text; undefined when there is none. */
export type VectorOf = (text: string) => Float32Array | undefined;

/** Every text of it that needs a vector. */
export function textsOf({ condition, examples }: Matchable): readonly string[] {
  return [...conditionTexts(condition, examples.length), ...examples].filter(isText);
}

/** Its vectors, one of the condition and one of each example, as far as there are any. */
export function vectorsFor(
  { condition, examples }: Matchable,
  dimensions: number,
  vectorOf: VectorOf,
): readonly Float32Array[] {
  const views = conditionTexts(condition, examples.length).flatMap(
    (text) => (isText(text) && vectorOf(text)) || [],
  );
  const ofExamples = examples.flatMap((text) => (isText(text) && vectorOf(text)) || []);
  return views.length > 0 ? [centroid(views, dimensions), ...ofExamples] : ofExamples;
}

/** Scores messages against each of them, in their order; without what is common to all. */
export function indexOf(
  matchables: readonly Matchable[],
  dimensions: number,
  vectorOf: VectorOf,
  common: Float32Array,
): MatchIndex {
  const entries = matchables.map((matchable) => ({
    texts: [matchable.condition, ...matchable.examples].filter(isText),
    vectors: vectorsFor(matchable, dimensions, vectorOf),
  }));
  return matchIndex(entries, dimensions, common);
}

function isText(text: string): boolean {
  return text.trim() !== "";
}
