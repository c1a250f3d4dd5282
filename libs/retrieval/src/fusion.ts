/** The share of each kind of score in the whole. */
export interface HybridWeights {
  readonly vector: number;
  readonly bm25: number;
}

export const hybridWeights: HybridWeights = { vector: 0.7, bm25: 0.3 };

/** Scores of the same candidates in the same order: cosines, and BM25 normalised to 0..1. */
export interface ScoreParts {
  readonly vector: Float32Array;
  readonly bm25: Float32Array;
}

export interface Ranked {
  /** Position of the candidate in the scores given. */
  readonly index: number;
  readonly score: number;
}

/** The weighted sum of both, of each candidate. */
export function hybridScores(
  { vector, bm25 }: ScoreParts,
  weights: HybridWeights = hybridWeights,
): Float32Array {
  if (vector.length !== bm25.length)
    throw new RangeError(`${vector.length} vector scores but ${bm25.length} BM25 scores`);
  return vector.map((cosine, i) => weights.vector * cosine + weights.bm25 * (bm25[i] ?? 0));
}

/** Each owner's best score, where `owners[i]` owns `scores[i]`; -Infinity for one without any. */
export function bestByOwner(
  scores: Float32Array,
  owners: Uint32Array,
  ownersCount: number,
): Float32Array {
  if (scores.length !== owners.length)
    throw new RangeError(`${scores.length} scores but ${owners.length} owners`);
  const best = new Float32Array(ownersCount).fill(-Infinity);
  for (let i = 0; i < scores.length; i++) {
    const owner = owners[i] ?? 0;
    const score = scores[i] ?? 0;
    if (score > (best[owner] ?? Infinity)) best[owner] = score;
  }
  return best;
}

export interface ReciprocalRanked extends Ranked {
  /** Its place in each ranking, 1 for the first; undefined where it is missing. */
  readonly ranks: readonly (number | undefined)[];
}

/**
 * Reciprocal-rank fusion of rankings that hold candidates' positions, best first: each adds
 * 1 / (k + rank). For scores that can't be compared; where they can, the weighted sum is better.
 * Of equal sums the one with the lower position comes first.
 */
export function rankReciprocal(
  rankings: readonly (readonly number[])[],
  limit: number,
  k = 60,
): ReciprocalRanked[] {
  const ranks = new Map<number, (number | undefined)[]>();
  rankings.forEach((ranking, which) => {
    ranking.forEach((index, i) => {
      const found = ranks.get(index) ?? rankings.map(() => undefined);
      found[which] ??= i + 1;
      ranks.set(index, found);
    });
  });
  return [...ranks]
    .map(([index, found]) => ({
      index,
      score: found.reduce<number>((sum, place) => sum + (place ? 1 / (k + place) : 0), 0),
      ranks: found,
    }))
    .toSorted((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, limit);
}
