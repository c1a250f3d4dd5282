// What it costs a turn to find the rules for a message: every rule's score with its parts, all of them in
// order, and a selection, by the index and the settings that turns use. Vectors are synthetic, in clusters as real ones are; the model's own time is left out.
import { parseArgs } from "node:util";
import { bm25Index } from "@soldier/retrieval/bm25";
import { matchIndex, type MatchWeights } from "@soldier/retrieval/match-index";
import { select, selectionFor } from "@soldier/retrieval/selection";

const dimensions = 384;
const examplesPerRule = 3;
const wordsKnown = 6_000;
const topics = 60;
// As [alignment.matching] has them by default.
const weights: MatchWeights = { vector_weight: 0.7, bm25_weight: 0.3, midpoint: 0.25, slope: 16 };

const { values } = parseArgs({
  options: {
    rules: { type: "string", multiple: true, default: ["1000", "10000"] },
    queries: { type: "string", default: "300" },
  },
});

const report = values.rules.map((rules) => measure(Number(rules), Number(values.queries)));
process.stdout.write(
  `Node ${process.version}, ${examplesPerRule} examples a rule, ${dimensions} dimensions, median of ${values.queries} queries\n\n` +
    "| rules | scores + selection ms | p95 ms | of it scores ms | of them BM25 ms | build ms | MB per 1,000 rules | kept |\n" +
    "|---|---|---|---|---|---|---|---|\n" +
    report.map((row) => `| ${row.join(" | ")} |\n`).join(""),
);

function measure(rulesCount: number, queriesCount: number): string[] {
  const random = generator(rulesCount);
  const centres = Array.from({ length: topics }, () => direction(random));
  const make = () => {
    const topic = Math.floor(random() * topics);
    const centre = centres[topic] ?? direction(random);
    return { text: sentence(random, topic), vector: near(centre, random) };
  };
  const rules = Array.from({ length: rulesCount }, () => {
    const texts = Array.from({ length: 1 + examplesPerRule }, make);
    return { texts: texts.map(({ text }) => text), vectors: texts.map(({ vector }) => vector) };
  });
  const queries = Array.from({ length: queriesCount }, make);

  const before = memoryBytes();
  const started = performance.now();
  const index = matchIndex(rules, dimensions);
  const buildMs = performance.now() - started;
  const heldBytes = memoryBytes() - before;
  const words = bm25Index(rules.map(({ texts }) => texts.join("\n")));

  let kept = 0;
  const whole = times(queries, ({ text, vector }) => {
    const scores = index.scores(text, vector, weights);
    const ranked = scores.toSorted((a, b) => b.match - a.match);
    const matches = ranked.map(({ match }) => match);
    kept += select(matches, selectionFor.rules).kept.length;
  });
  const scored = times(queries, ({ text, vector }) => index.scores(text, vector, weights));
  const lexical = times(queries, ({ text }) => words.normalisedScores(text));
  return [
    rulesCount.toLocaleString("en"),
    quantile(whole, 0.5).toFixed(2),
    quantile(whole, 0.95).toFixed(2),
    quantile(scored, 0.5).toFixed(2),
    quantile(lexical, 0.5).toFixed(3),
    buildMs.toFixed(0),
    (heldBytes / 2 ** 20 / (rulesCount / 1000)).toFixed(1),
    (kept / (2 * queriesCount)).toFixed(1),
  ];
}

/** Milliseconds of each call, once all have been called for the compiler's sake. */
function times<T>(inputs: readonly T[], call: (input: T) => unknown): number[] {
  for (const input of inputs) call(input);
  return inputs.map((input) => {
    const started = performance.now();
    call(input);
    return performance.now() - started;
  });
}

function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))] ?? NaN;
}

/** What is held on the heap and in arrays beside it; run with --expose-gc to leave out garbage. */
function memoryBytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Words as in real text: few are common, and a topic has its own. */
function sentence(random: () => number, topic: number): string {
  return Array.from({ length: 8 }, () => {
    const common = random() < 0.6;
    const word = common
      ? Math.floor(wordsKnown * random() ** 4)
      : topic * 100 + Math.floor(100 * random());
    return `word${letters(word)}`;
  }).join(" ");
}

function letters(number: number): string {
  return number.toString(26).replace(/[0-9]/g, (digit) => String.fromCharCode(112 + Number(digit)));
}

function direction(random: () => number): Float32Array {
  return Float32Array.from({ length: dimensions }, () => random() - 0.5);
}

function near(centre: Float32Array, random: () => number): Float32Array {
  return centre.map((x) => x + 0.6 * (random() - 0.5));
}

/** The same numbers in every run (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
