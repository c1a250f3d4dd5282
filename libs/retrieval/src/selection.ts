interface Bounds {
  /** Kept when that many exist, whatever their scores. */
  readonly min_k: number;
  /** Never more than this are kept, whatever min_k says. */
  readonly max_k: number;
  /** Lower scores are kept only to fill min_k. */
  readonly min_score: number;
}

/** Keeps k. */
export interface FixedK extends Bounds {
  readonly kind: "fixed_k";
  readonly k: number;
}

/** Cuts at the first drop of more than this share of the score before it. */
export interface Elbow extends Bounds {
  readonly kind: "elbow";
  readonly drop: number;
}

/** Cuts at the first drop above alpha times the mean drop: where the curve bends. */
export interface AdaptiveK extends Bounds {
  readonly kind: "adaptive_k";
  readonly alpha: number;
}

/**
 * Keeps as many as the scores are undecided: their entropy in bits, taken as shares of their sum,
 * chooses between ks: under 1, from 1 to 2, over 2.
 */
export interface Entropy extends Bounds {
  readonly kind: "entropy";
  readonly ks: readonly [number, number, number];
}

/**
 * Keeps the top of each dense group of scores. A score that stands alone is kept above the first
 * group, where it is better than all of them, and dropped below it.
 */
export interface Clustering extends Bounds {
  readonly kind: "clustering";
  /** Scores at most this far apart are neighbours. */
  readonly eps: number;
  /** A score with this many neighbours, itself included, makes a group. */
  readonly min_size: number;
  /** How many of each group are kept. */
  readonly top: number;
}

/** How many scored candidates survive. Its keys are those of the settings. */
export type SelectionStrategy = FixedK | Elbow | AdaptiveK | Entropy | Clustering;

/** Each strategy as it is when nothing is set. Nothing relevant found means nothing kept: min_k is 0. */
export const selectionDefaults = {
  fixed_k: { kind: "fixed_k", k: 5, min_k: 0, max_k: 10, min_score: 0 },
  elbow: { kind: "elbow", drop: 0.15, min_k: 0, max_k: 10, min_score: 0.5 },
  adaptive_k: { kind: "adaptive_k", alpha: 1.5, min_k: 0, max_k: 10, min_score: 0.4 },
  entropy: { kind: "entropy", ks: [3, 5, 10], min_k: 0, max_k: 10, min_score: 0.3 },
  clustering: {
    kind: "clustering",
    eps: 0.1,
    min_size: 2,
    top: 3,
    min_k: 0,
    max_k: 10,
    min_score: 0.4,
  },
} as const satisfies { readonly [K in SelectionStrategy["kind"]]: SelectionStrategy & { kind: K } };

/**
 * What is selected how when nothing is set. Rules go on from a lower score than what comes of it by
 * itself: a model sees more in their words, and without one match_threshold decides.
 */
export const selectionFor = {
  rules: { ...selectionDefaults.adaptive_k, min_score: 0.2 },
  scenarios: { ...selectionDefaults.entropy, max_k: 5 },
  memory: { ...selectionDefaults.clustering, max_k: 15 },
} as const satisfies Readonly<Record<string, SelectionStrategy>>;

export interface Selection {
  /** Positions in the scores given, ascending. */
  readonly kept: readonly number[];
  /** Why there are not more, for the turn record. */
  readonly reason: string;
}

/** Chooses among scores sorted best first; throws when they are not. */
export function select(scores: ArrayLike<number>, strategy: SelectionStrategy): Selection {
  const sorted = Array.from(scores);
  sorted.forEach((score, i) => {
    if (!(score <= (sorted[i - 1] ?? Infinity)))
      throw new RangeError(`score ${i} is not in descending order`);
  });

  const below = sorted.findIndex((score) => score < strategy.min_score);
  const eligible = below < 0 ? sorted : sorted.slice(0, below);
  const cut = eligible.length === 0 ? nothing(sorted, strategy) : shape(eligible, strategy);
  const reason =
    eligible.length > 0 && below > 0 && cut.kept.length === eligible.length
      ? `${cut.reason}; the next is below min_score ${shown(strategy.min_score)}`
      : cut.reason;

  if (cut.kept.length > strategy.max_k)
    return {
      kept: cut.kept.slice(0, strategy.max_k),
      reason: `${reason}; max_k ${strategy.max_k}`,
    };
  const kMin = Math.min(strategy.min_k, strategy.max_k, sorted.length);
  if (cut.kept.length < kMin)
    return {
      kept: fill(cut.kept, kMin),
      reason: `${reason}; filled to min_k ${strategy.min_k}`,
    };
  return { kept: cut.kept, reason };
}

function nothing(sorted: readonly number[], { min_score }: SelectionStrategy): Selection {
  const best = sorted[0];
  return {
    kept: [],
    reason:
      best === undefined
        ? "no candidates"
        : `best score ${shown(best)} is below min_score ${shown(min_score)}`,
  };
}

/** Where the strategy itself cuts among the scores that reach min_score; there is at least one. */
function shape(scores: readonly number[], strategy: SelectionStrategy): Selection {
  switch (strategy.kind) {
    case "fixed_k":
      return first(Math.min(strategy.k, scores.length), `fixed_k: k ${strategy.k}`);
    case "elbow":
      return cutAtElbow(scores, strategy);
    case "adaptive_k":
      return cutAtBend(scores, strategy);
    case "entropy":
      return cutByEntropy(scores, strategy);
    case "clustering":
      return topOfClusters(scores, strategy);
  }
}

function cutAtElbow(scores: readonly number[], { drop }: Elbow): Selection {
  for (let i = 1; i < scores.length; i++) {
    const before = at(scores, i - 1);
    const relative = before > 0 ? (before - at(scores, i)) / before : 0;
    if (relative > drop)
      return first(i, `elbow: drop of ${shown(relative)} after ${i}, above ${shown(drop)}`);
  }
  return first(scores.length, `elbow: no drop above ${shown(drop)}`);
}

function cutAtBend(scores: readonly number[], { alpha }: AdaptiveK): Selection {
  const mean = (at(scores, 0) - at(scores, scores.length - 1)) / Math.max(1, scores.length - 1);
  for (let i = 1; i < scores.length; i++) {
    const drop = at(scores, i - 1) - at(scores, i);
    if (drop > alpha * mean)
      return first(
        i,
        `adaptive_k: drop of ${shown(drop)} after ${i}, above ${alpha} x mean drop ${shown(mean)}`,
      );
  }
  return first(scores.length, `adaptive_k: no drop above ${alpha} x mean drop ${shown(mean)}`);
}

function cutByEntropy(scores: readonly number[], { ks }: Entropy): Selection {
  const positive = scores.map((score) => Math.max(0, score));
  const total = positive.reduce((sum, score) => sum + score, 0);
  const bits = positive.reduce((sum, score) => {
    const share = total > 0 ? score / total : 1 / scores.length;
    return share > 0 ? sum - share * Math.log2(share) : sum;
  }, 0);
  const k = bits < 1 ? ks[0] : bits <= 2 ? ks[1] : ks[2];
  return first(Math.min(k, scores.length), `entropy: ${shown(bits)} bits, k ${k}`);
}

function topOfClusters(scores: readonly number[], { eps, min_size, top }: Clustering): Selection {
  const groups = densityGroups(scores, eps, min_size);
  const firstGrouped = groups.findIndex((group) => group !== undefined);
  const taken = new Map<number, number>();
  const kept = scores.flatMap((_, i) => {
    const group = groups[i];
    if (group === undefined) return firstGrouped < 0 || i < firstGrouped ? [i] : [];
    const before = taken.get(group) ?? 0;
    taken.set(group, before + 1);
    return before < top ? [i] : [];
  });
  return { kept, reason: `clustering: ${taken.size} groups within ${eps}, top ${top} of each` };
}

/**
 * The number of each score's group, or undefined for one that stands alone. DBSCAN in one
 * dimension: dense scores that are neighbours form a group, and a score that isn't dense itself
 * belongs to the group of a dense neighbour without carrying it further.
 */
function densityGroups(
  scores: readonly number[],
  eps: number,
  minSize: number,
): readonly (number | undefined)[] {
  const near = (i: number, j: number) => Math.abs(at(scores, i) - at(scores, j)) <= eps;
  const groups = scores.map((): number | undefined => undefined);
  let count = 0;
  let previous = -1;
  scores.forEach((_, i) => {
    let neighbours = 1;
    for (let j = i - 1; j >= 0 && near(i, j) && neighbours < minSize; j--) neighbours++;
    for (let j = i + 1; j < scores.length && near(i, j) && neighbours < minSize; j++) neighbours++;
    if (neighbours < minSize) return;
    if (previous < 0 || !near(i, previous)) count++;
    groups[i] = count;
    previous = i;
  });
  const dense = groups.slice();
  return groups.map((group, i) => {
    if (group !== undefined) return group;
    for (let j = i - 1; j >= 0 && near(i, j); j--) if (dense[j] !== undefined) return dense[j];
    for (let j = i + 1; j < scores.length && near(i, j); j++)
      if (dense[j] !== undefined) return dense[j];
    return undefined;
  });
}

function first(count: number, reason: string): Selection {
  return { kept: Array.from({ length: count }, (_, i) => i), reason };
}

/** Adds the best that are missing until there are `count`. */
function fill(kept: readonly number[], count: number): readonly number[] {
  const all = new Set(kept);
  for (let i = 0; all.size < count; i++) all.add(i);
  return [...all].toSorted((a, b) => a - b);
}

function at(scores: readonly number[], i: number): number {
  return scores[i] ?? 0;
}

function shown(value: number): string {
  return String(Number(value.toFixed(3)));
}
