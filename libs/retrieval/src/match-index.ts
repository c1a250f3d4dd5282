import { bm25Index } from "./bm25.ts";
import { bestByOwner, hybridScores } from "./fusion.ts";
import { vectorIndex } from "./vectors.ts";

/** Something to be found by any of its texts: a rule by its condition and its examples. */
export interface MatchEntry {
  readonly texts: readonly string[];
  /** Of the texts, as far as there are any; all of the same model. */
  readonly vectors: readonly Float32Array[];
}

export interface MatchWeights {
  readonly vector_weight: number;
  readonly bm25_weight: number;
  /** The hybrid score that is as likely as not to be a match; depends on the embedding model. */
  readonly midpoint: number;
  /** How fast likelihood rises around the midpoint; 0 leaves hybrid scores as they are. */
  readonly slope: number;
}

/** One entry's score and its parts. */
export interface MatchScore {
  /** Cosine, -1 to 1. */
  readonly vector: number;
  /** BM25 as a share of what a text could score, 0 to 1. */
  readonly bm25: number;
  /** The weighted sum of both. */
  readonly hybrid: number;
  /** The same on the scale of all thresholds, 0 to 1: 0.5 is as likely as not. */
  readonly match: number;
}

/** Says how well each entry fits a message, by meaning and by words; immutable once built. */
export interface MatchIndex {
  readonly size: number;
  /**
   * Every entry's score, in the order of the entries. The vector is of the entries' model; without
   * one only words count.
   */
  scores(text: string, vector: Float32Array | undefined, weights: MatchWeights): MatchScore[];
}

export const noMatch: MatchScore = { vector: 0, bm25: 0, hybrid: 0, match: 0 };

/**
 * The vector score of an entry is half its best text's cosine and half its centroid's: what one
 * example hits, and what all of them are about. Against the best alone this was right three times
 * in a hundred more often on labelled messages. An entry without texts has 0 for both scores.
 */
export function matchIndex(entries: readonly MatchEntry[], dimensions: number): MatchIndex {
  const rows = vectorIndex(
    entries.flatMap((entry) => entry.vectors),
    dimensions,
  );
  const owners = Uint32Array.from(
    entries.flatMap((entry, owner) => entry.vectors.map(() => owner)),
  );
  // A cosine with the centroid is the sum of the cosines with its members over the length of their
  // sum, so that no row is needed for it.
  const centroidScale = Float32Array.from(entries, ({ vectors: own }) => {
    const length = lengthOfSum(own, dimensions);
    return length > 0 ? 1 / length : 0;
  });
  const words = bm25Index(entries.map(({ texts }) => texts.join("\n")));

  function cosines(vector: Float32Array): Float32Array {
    const similarities = rows.similarities(vector);
    const sums = sumByOwner(similarities, owners, entries.length);
    return bestByOwner(similarities, owners, entries.length).map((best, owner) =>
      best === -Infinity ? 0 : (best + (sums[owner] ?? 0) * (centroidScale[owner] ?? 0)) / 2,
    );
  }

  return {
    size: entries.length,
    scores(text, vector, weights) {
      const parts = {
        vector: vector ? cosines(vector) : new Float32Array(entries.length),
        bm25: words.normalisedScores(text),
      };
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

/** A hybrid score as a likelihood, so that thresholds mean the same with every embedding model. */
function likelihood(hybrid: number, { midpoint, slope }: MatchWeights): number {
  if (slope === 0) return Math.min(1, Math.max(0, hybrid));
  return 1 / (1 + Math.exp(-slope * (hybrid - midpoint)));
}

function sumByOwner(values: Float32Array, owners: Uint32Array, ownersCount: number): Float64Array {
  const sums = new Float64Array(ownersCount);
  for (let i = 0; i < values.length; i++) {
    const owner = owners[i] ?? 0;
    sums[owner] = (sums[owner] ?? 0) + (values[i] ?? 0);
  }
  return sums;
}

/** Of the unit vectors' sum, which is at most their number. */
function lengthOfSum(vectors: readonly Float32Array[], dimensions: number): number {
  const sum = new Float64Array(dimensions);
  for (const vector of vectors) {
    const length = Math.hypot(...vector);
    if (length === 0) continue;
    for (let i = 0; i < dimensions; i++) sum[i] = (sum[i] ?? 0) + (vector[i] ?? 0) / length;
  }
  return Math.hypot(...sum);
}
