import { Fault } from "@soldier/kernel/fault";

/** What the engine made of one labelled message. */
export interface Sample {
  readonly expected: ReadonlySet<string>;
  readonly rules: readonly Scored[];
  /** Entries of scenarios: what else may explain the message. */
  readonly entries: readonly Scored[];
}

export interface Scored {
  readonly name: string;
  readonly vector: number;
  readonly bm25: number;
  /** It applied in the run that the sample is from. */
  readonly applied: boolean;
}

/** Keys of [alignment.matching], and min_score of [alignment.selection.rules]. */
export interface Calibration {
  readonly vector_weight: number;
  readonly bm25_weight: number;
  readonly midpoint: number;
  readonly slope: number;
  readonly match_threshold: number;
  readonly certain_threshold: number;
  readonly lead: number;
  readonly min_score: number;
}

export interface Figures {
  /** Mean of the two below: what is fitted. */
  readonly objective: number;
  /** Of messages with rules: how well what applied is what should, as intersection over union. */
  readonly agreement: number;
  /** Of messages without: none applied. */
  readonly rejected: number;
}

export interface Calibrated {
  readonly settings: Calibration;
  readonly before: Figures;
  /** Each message judged by settings that were fitted without it. */
  readonly heldOut: Figures;
}

/** Fewer say more about themselves than about the messages to come. */
export const labelsMin = { withRule: 40, withoutRule: 20 };
const folds = 5;
const bm25Weights = [0, 0.1, 0.2, 0.3, 0.4, 0.5];
const leads = [0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2];
const midpointsMax = 60;
/** Likelihoods are read against this; the midpoint is what moves. */
const matchThreshold = 0.5;
/** An entry explains a message from this likelihood on. */
const entryThreshold = 0.65;
/** Of the best rules above the certain threshold, so many must be right. */
const certainPrecision = 0.95;
/** So many of the rules that apply must score above min_score. */
const selectionRecall = 0.98;

/**
 * The settings under which what applies agrees best with the labels, without a model: weights, midpoint
 * and lead by search; the slope by maximum likelihood of the best rule being right; certain_threshold
 * and min_score read off what follows. Deterministic. Throws LABELS_TOO_FEW.
 */
export function calibrate(samples: readonly Sample[]): Calibrated {
  const withRule = samples.filter(({ expected }) => expected.size > 0);
  const without = samples.filter(({ expected }) => expected.size === 0);
  if (withRule.length < labelsMin.withRule || without.length < labelsMin.withoutRule)
    throw new Fault(
      "precondition",
      `at least ${labelsMin.withRule} messages with a rule and ${labelsMin.withoutRule} without are needed; ` +
        `there are ${withRule.length} and ${without.length}`,
      { reason: "LABELS_TOO_FEW" },
    );
  const foldOf = new Map([...withRule, ...without].map((sample, i) => [sample, i % folds]));
  const heldOut = Array.from({ length: folds }, (_, fold) => {
    const settings = fit(samples.filter((sample) => foldOf.get(sample) !== fold));
    return samples
      .filter((sample) => foldOf.get(sample) === fold)
      .map(rankedBy(settings))
      .map((each) => ({ sample: each.sample, applied: applying(each, settings) }));
  }).flat();
  return {
    settings: fit(samples),
    before: figuresOf(
      samples.map((sample) => ({
        sample,
        applied: sample.rules.filter((rule) => rule.applied).map(({ name }) => name),
      })),
    ),
    heldOut: figuresOf(heldOut),
  };
}

function fit(samples: readonly Sample[]): Calibration {
  let best: { objective: number; settings: Calibration } | undefined;
  for (const bm25_weight of bm25Weights) {
    const weights = { vector_weight: 1 - bm25_weight, bm25_weight };
    const slope = slopeOf(samples, weights);
    const ranked = samples.map(rankedBy(weights));
    for (const midpoint of midpointsOf(samples, weights))
      for (const lead of leads) {
        const settings = { ...unfitted, ...weights, midpoint, slope, lead };
        const results = ranked.map((each) => ({
          sample: each.sample,
          applied: applying(each, settings),
        }));
        const { objective } = figuresOf(results);
        if (!best || objective > best.objective + 1e-9) best = { objective, settings };
      }
  }
  if (!best) throw new Error("there is always something to try");
  const settings = rounded(best.settings);
  return {
    ...settings,
    certain_threshold: certainThreshold(samples, settings),
    min_score: minScore(samples, settings),
  };
}

const unfitted = { match_threshold: matchThreshold, certain_threshold: 0.9, min_score: 0.2 };

type Weights = Pick<Calibration, "vector_weight" | "bm25_weight">;

function hybridBy({ vector_weight, bm25_weight }: Weights) {
  return ({ vector, bm25 }: Scored) => vector_weight * vector + bm25_weight * bm25;
}

/** A sample's rules by their weighted sums, best first, and the best sum of an entry. */
interface Ranked {
  readonly sample: Sample;
  readonly rules: readonly { readonly name: string; readonly score: number }[];
  readonly entry: number;
}

function rankedBy(weights: Weights): (sample: Sample) => Ranked {
  const hybrid = hybridBy(weights);
  return (sample) => ({
    sample,
    rules: sample.rules
      .map((rule) => ({ name: rule.name, score: hybrid(rule) }))
      .toSorted((a, b) => b.score - a.score),
    entry: Math.max(-Infinity, ...sample.entries.map(hybrid)),
  });
}

/** What would apply: as the engine does without a model. */
function applying({ rules, entry }: Ranked, settings: Calibration): readonly string[] {
  const { midpoint, lead, slope } = settings;
  const explains = entry >= midpoint + Math.log(entryThreshold / (1 - entryThreshold)) / slope;
  const best = Math.max(rules[0]?.score ?? 0, explains ? entry : -Infinity);
  const bar = Math.max(midpoint, best - lead);
  const names: string[] = [];
  for (const { name, score } of rules) {
    if (score < bar) break;
    names.push(name);
  }
  return names;
}

function figuresOf(
  results: readonly { readonly sample: Sample; readonly applied: readonly string[] }[],
): Figures {
  const withRule = results.filter(({ sample }) => sample.expected.size > 0);
  const without = results.filter(({ sample }) => sample.expected.size === 0);
  const agreement = mean(
    withRule.map(({ sample, applied }) => {
      const right = applied.filter((name) => sample.expected.has(name)).length;
      return right / (applied.length + sample.expected.size - right);
    }),
  );
  const rejected = mean(without.map(({ applied }) => (applied.length === 0 ? 1 : 0)));
  return { objective: (agreement + rejected) / 2, agreement, rejected };
}

/** The best rule of each message, and whether it is right; messages with and without a rule weigh the same. */
function bestOf(samples: readonly Sample[], weights: Weights) {
  const hybrid = hybridBy(weights);
  const withRule = samples.filter(({ expected }) => expected.size > 0).length;
  return samples.flatMap(({ rules, expected }) => {
    const best = rules.toSorted((a, b) => hybrid(b) - hybrid(a))[0];
    if (!best) return [];
    const weight = 1 / (expected.size > 0 ? withRule : samples.length - withRule);
    return [{ score: hybrid(best), right: expected.has(best.name), weight }];
  });
}

/** Between neighbouring best scores: a midpoint elsewhere would decide nothing else. */
function midpointsOf(samples: readonly Sample[], weights: Weights): readonly number[] {
  const scores = bestOf(samples, weights)
    .map(({ score }) => score)
    .toSorted((a, b) => a - b);
  const step = Math.max(1, Math.floor(scores.length / midpointsMax));
  return scores.flatMap((score, i) => {
    const next = scores[i + 1];
    return i % step === 0 && next !== undefined
      ? [Math.min(1, Math.max(0, (score + next) / 2))]
      : [];
  });
}

/** Of the logistic curve that makes the labels most likely, by Newton's method. */
function slopeOf(samples: readonly Sample[], weights: Weights): number {
  const points = bestOf(samples, weights);
  let [midpoint, slope] = [mean(points.map(({ score }) => score)), 10];
  for (let round = 0; round < 50; round++) {
    let [ga, gb, aa, ab, bb] = [0, 0, 1e-4, 0, 1e-4];
    for (const { score, right, weight } of points) {
      const x = score - midpoint;
      const p = 1 / (1 + Math.exp(-slope * x));
      const error = weight * (p - (right ? 1 : 0));
      const curve = weight * p * (1 - p);
      ga += error * -slope;
      gb += error * x;
      aa += curve * slope * slope;
      ab += curve * -slope * x;
      bb += curve * x * x;
    }
    const determinant = aa * bb - ab * ab;
    if (!(Math.abs(determinant) > 1e-12)) break;
    midpoint -= Math.max(-0.1, Math.min(0.1, (bb * ga - ab * gb) / determinant));
    slope -= Math.max(-5, Math.min(5, (aa * gb - ab * ga) / determinant));
    slope = Math.max(slopeMin, Math.min(slopeMax, slope));
  }
  return slope;
}

const slopeMin = 2;
const slopeMax = 60;

function likelihood(score: number, { midpoint, slope }: Calibration): number {
  return 1 / (1 + Math.exp(-slope * (score - midpoint)));
}

/** The least likelihood from which on the best rule is right often enough. */
function certainThreshold(samples: readonly Sample[], settings: Calibration): number {
  const sure = bestOf(samples, settings)
    .map(({ score, ...rest }) => ({ ...rest, at: likelihood(score, settings) }))
    .toSorted((a, b) => b.at - a.at);
  let [right, all, threshold] = [0, 0, certainMax];
  for (const { at, right: isRight, weight } of sure) {
    all += weight;
    if (isRight) right += weight;
    if (right / all >= certainPrecision) threshold = at;
  }
  return twoDigits(Math.min(certainMax, Math.max(certainMin, threshold)));
}

const certainMin = 0.6;
const certainMax = 0.99;

function minScore(samples: readonly Sample[], settings: Calibration): number {
  const hybrid = hybridBy(settings);
  const theirs = samples
    .flatMap(({ rules, expected }) => rules.filter(({ name }) => expected.has(name)))
    .map((rule) => likelihood(hybrid(rule), settings))
    .toSorted((a, b) => a - b);
  const at = theirs[Math.floor((1 - selectionRecall) * theirs.length)] ?? 0;
  return Math.floor(100 * Math.min(minScoreMax, Math.max(minScoreMin, at))) / 100;
}

const minScoreMin = 0.05;
const minScoreMax = 0.45;

function rounded(settings: Calibration): Calibration {
  return {
    ...settings,
    vector_weight: twoDigits(settings.vector_weight),
    midpoint: Number(settings.midpoint.toFixed(4)),
    slope: Number(settings.slope.toFixed(1)),
  };
}

function twoDigits(value: number): number {
  return Number(value.toFixed(2));
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0) / (numbers.length || 1);
}
