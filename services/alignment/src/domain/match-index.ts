import { hybridScores } from "@soldier/retrieval/fusion";
import { hybridIndex } from "@soldier/retrieval/hybrid-index";

/** What is matched against a message: a condition in plain language, and what customers might say. */
export interface Matchable {
  readonly condition: string;
  readonly examples: readonly string[];
}

export interface MatchWeights {
  readonly vector_weight: number;
  readonly bm25_weight: number;
  /** The hybrid score that is as likely as not to be a match; depends on the embedding model. */
  readonly midpoint: number;
  /** How fast likelihood rises around the midpoint; 0 leaves hybrid scores as they are. */
  readonly slope: number;
}

/** The parts of one entry's score. */
export interface MatchScore {
  readonly vector: number;
  readonly bm25: number;
  /** The weighted sum of both. */
  readonly hybrid: number;
  /** The same on the scale of all thresholds, 0 to 1: 0.5 is as likely as not. */
  readonly match: number;
}

export interface MatchIndex {
  readonly size: number;
  /** Every entry's score, in the order of the entries. Without a vector only words count. */
  scores(text: string, vector: Float32Array | undefined, weights: MatchWeights): MatchScore[];
}

/** Finds the vector of a text; undefined when there is none. */
export type VectorOf = (text: string) => Float32Array | undefined;

export function textsOf({ condition, examples }: Matchable): readonly string[] {
  return [condition, ...examples].filter((text) => text.trim() !== "");
}

export function matchIndex(
  entries: readonly Matchable[],
  dimensions: number,
  vectorOf: VectorOf,
): MatchIndex {
  const none = new Float32Array(dimensions);
  const index = hybridIndex(
    entries.map(textsOf).map((texts) => ({
      texts,
      vectors: texts.map((text) => vectorOf(text) ?? none),
    })),
    dimensions,
  );
  return {
    size: entries.length,
    scores(text, vector, weights) {
      if (entries.length === 0) return [];
      const parts = index.scores({ text, vector: vector ?? none });
      const hybrid = hybridScores(parts, {
        vector: weights.vector_weight,
        bm25: weights.bm25_weight,
      });
      return Array.from(hybrid, (score, i) => ({
        vector: parts.vector[i] ?? 0,
        bm25: parts.bm25[i] ?? 0,
        hybrid: score,
        match: likelihood(score, weights),
      }));
    },
  };
}

export const noMatch: MatchScore = { vector: 0, bm25: 0, hybrid: 0, match: 0 };

/** A hybrid score as a likelihood, so that thresholds mean the same with every embedding model. */
export function likelihood(
  hybrid: number,
  { midpoint, slope }: Pick<MatchWeights, "midpoint" | "slope">,
): number {
  if (slope === 0) return Math.min(1, Math.max(0, hybrid));
  return 1 / (1 + Math.exp(-slope * (hybrid - midpoint)));
}
