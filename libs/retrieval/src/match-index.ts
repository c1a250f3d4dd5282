import { bm25Index } from "./bm25.ts";
import { bestByOwner, hybridScores } from "./fusion.ts";
import { normalise, vectorIndex } from "./vectors.ts";

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
  /** The cosine with the nearest of its texts, -1 to 1, of what is not common to all texts. */
  readonly nearest: number;
  /** The cosine with what its texts are about together. */
  readonly centroid: number;
  /** Both weighed, and made comparable between entries with many texts and few, alike and apart. */
  readonly vector: number;
  /** BM25 as a share of what a text could score, 0 to 1. */
  readonly bm25: number;
  /** The weighted sum of vector and bm25. */
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

export const noMatch: MatchScore = {
  nearest: 0,
  centroid: 0,
  vector: 0,
  bm25: 0,
  hybrid: 0,
  match: 0,
};

/** Of the nearest text in the vector score; the rest is the centroid's. */
const nearestShare = 0.25;
/** As if so many more texts had nothing in common: few texts say little of what all have. */
const textsUnseen = 200;
/** Of an entry's deviation in the correction for how alike its own texts are. */
const alikeShare = 0.3;
/** As if so many more texts of an entry were as alike as those of other entries. */
const textsAssumed = 4;
/** How alike two texts of one entry are expected to be when the lengths of centroids are corrected. */
const alikeExpected = 0.7;

/**
 * What texts have in common, to be taken off before they are compared: it says that they are messages
 * to this agent, not which. Nearly nothing for few texts; all of one model.
 */
export function commonVector(vectors: readonly Float32Array[], dimensions: number): Float32Array {
  const sum = new Float32Array(dimensions);
  for (const vector of vectors) {
    const unit = normalise(vector.slice());
    for (let i = 0; i < dimensions; i++) sum[i] = (sum[i] ?? 0) + (unit[i] ?? 0);
  }
  return sum.map((x) => x / (vectors.length + textsUnseen));
}

/**
 * Scores by the nearest text and, mostly, by the centroid, over what is not common to all; held out on
 * rules that were not looked at, each part is worth something (docs/quality.md). Two corrections make
 * entries comparable: one whose own texts are alike expects more of a message than one whose texts are
 * far apart, and a centroid of many texts is nearer to everything than one text. An entry without
 * texts has 0 for all scores.
 */
export function matchIndex(
  entries: readonly MatchEntry[],
  dimensions: number,
  common?: Float32Array,
): MatchIndex {
  const rows = vectorIndex(
    entries.flatMap((entry) => entry.vectors.map((vector) => apart(vector, common))),
    dimensions,
  );
  const owners = Uint32Array.from(
    entries.flatMap((entry, owner) => entry.vectors.map(() => owner)),
  );
  const spreads = entries.map(({ vectors }) =>
    spreadOf(vectors.map((vector) => apart(vector, common))),
  );
  // A cosine with the centroid is the sum of the cosines with its members over the length of their
  // sum, so that no row is needed for it.
  const centroidScale = Float32Array.from(spreads, ({ sumLength }) =>
    sumLength > 0 ? 1 / sumLength : 0,
  );
  const offsets = offsetsOf(spreads);
  const scale = Float32Array.from(spreads, ({ count }) =>
    Math.sqrt(alikeExpected + (1 - alikeExpected) / Math.max(1, count)),
  );
  const words = bm25Index(entries.map(({ texts }) => texts.join("\n")));
  const nothing = new Float32Array(entries.length);

  function meanings(vector: Float32Array) {
    const similarities = rows.similarities(apart(vector, common));
    const nearest = bestByOwner(similarities, owners, entries.length);
    const centroid = sumByOwner(similarities, owners, entries.length);
    const whole = new Float32Array(entries.length);
    for (let i = 0; i < entries.length; i++) {
      const best = nearest[i] ?? -Infinity;
      if (best === -Infinity) {
        nearest[i] = 0;
        continue;
      }
      const about = (centroid[i] ?? 0) * (centroidScale[i] ?? 0);
      centroid[i] = about;
      const mixed = nearestShare * best + (1 - nearestShare) * about;
      whole[i] = (mixed - (offsets[i] ?? 0)) * (scale[i] ?? 1);
    }
    return { nearest, centroid, vector: whole };
  }

  return {
    size: entries.length,
    scores(text, vector, weights) {
      const meaning = vector
        ? meanings(vector)
        : { nearest: nothing, centroid: nothing, vector: nothing };
      const bm25 = words.normalisedScores(text);
      const hybrid = hybridScores(
        { vector: meaning.vector, bm25 },
        { vector: weights.vector_weight, bm25: weights.bm25_weight },
      );
      return Array.from(hybrid, (score, i) => ({
        nearest: meaning.nearest[i] ?? 0,
        centroid: meaning.centroid[i] ?? 0,
        vector: meaning.vector[i] ?? 0,
        bm25: bm25[i] ?? 0,
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

function sumByOwner(values: Float32Array, owners: Uint32Array, ownersCount: number): Float32Array {
  const sums = new Float32Array(ownersCount);
  for (let i = 0; i < values.length; i++) {
    const owner = owners[i] ?? 0;
    sums[owner] = (sums[owner] ?? 0) + (values[i] ?? 0);
  }
  return sums;
}

/** How an entry's texts lie to each other. */
interface Spread {
  readonly count: number;
  /** Of the unit vectors' sum, which is at most their number. */
  readonly sumLength: number;
  /** What each text would score if it came as a message, on average; undefined for fewer than two. */
  readonly alike: number | undefined;
}

function spreadOf(vectors: readonly Float32Array[]): Spread {
  const units = vectors.map((vector) => normalise(vector.slice()));
  const products = units.map((a) => units.map((b) => dotProduct(a, b)));
  const toAll = products.map((row) => row.reduce((sum, x) => sum + x, 0));
  const total = toAll.reduce((sum, x) => sum + x, 0);
  const count = units.length;
  const sumLength = Math.sqrt(Math.max(0, total));
  if (count < 2) return { count, sumLength, alike: undefined };
  const alike = products.map((row, i) => {
    const self = row[i] ?? 0;
    const others = Math.sqrt(Math.max(0, total - 2 * (toAll[i] ?? 0) + self));
    const about = others > 0 ? ((toAll[i] ?? 0) - self) / others : 0;
    const best = Math.max(...row.filter((_, j) => j !== i));
    return nearestShare * best + (1 - nearestShare) * about;
  });
  return { count, sumLength, alike: alike.reduce((sum, x) => sum + x, 0) / count };
}

/** What is taken off each entry's score because its texts are more alike than those of others. */
function offsetsOf(spreads: readonly Spread[]): Float32Array {
  let sum = 0;
  let weight = 0;
  for (const { count, alike } of spreads) {
    if (alike === undefined) continue;
    sum += (count - 1) * alike;
    weight += count - 1;
  }
  return Float32Array.from(spreads, ({ count, alike }) => {
    if (alike === undefined) return 0;
    return (alikeShare * (alike - sum / weight) * (count - 1)) / (count - 1 + textsAssumed);
  });
}

/** The unit vector without what is common; the zero vector stays. */
function apart(vector: Float32Array, common: Float32Array | undefined): Float32Array {
  const unit = normalise(vector.slice());
  if (!common || unit.every((x) => x === 0)) return unit;
  for (let i = 0; i < unit.length; i++) unit[i] = (unit[i] ?? 0) - (common[i] ?? 0);
  return unit;
}

function dotProduct(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
