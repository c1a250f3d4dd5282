import { LRUCache } from "lru-cache";
import { throwIfCancelled } from "./cancelled.ts";
import type { Embedder } from "./embedder.ts";
import type { Reranker } from "./reranker.ts";

/** Words that are looked at together: fewer say too little, more are a sentence again. */
const runWords = 3;
/** Of one text; what comes after counts no more. */
const runsMax = 64;
/** Of the candidates' texts, which are the same from turn to turn. */
const rememberedMax = 20_000;

/**
 * Reranks by the embedder at hand, without another model: each run of words of the question is put to
 * the likest run of the candidate, and their mean likeness counts as much as the score that the
 * candidate was found with. On labelled messages it was worth little (docs/decisions), and costs one
 * embedding for each run of words that is new.
 */
export function localReranker(embedder: Embedder): Reranker {
  const remembered = new LRUCache<string, Float32Array>({ max: rememberedMax });

  async function vectorsOf(
    texts: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Float32Array>> {
    const unknown = [...new Set(texts)].filter((text) => !remembered.has(text));
    const made = unknown.length > 0 ? await embedder.embed(unknown, signal) : [];
    const found = new Map(unknown.map((text, i) => [text, made[i] ?? new Float32Array()]));
    for (const text of texts) {
      const known = found.get(text) ?? remembered.get(text);
      if (known) found.set(text, known);
    }
    for (const [text, vector] of found) remembered.set(text, vector);
    return found;
  }

  return {
    id: `local:${embedder.model}`,
    async rerank(query, candidates, signal) {
      throwIfCancelled(signal);
      if (candidates.length === 0) return [];
      const asked = runsOf(query);
      const given = candidates.map(({ text }) => runsOf(text));
      const vectors = await vectorsOf([...asked, ...given.flat()], signal);
      const vectorsIn = (runs: readonly string[]) => runs.flatMap((run) => vectors.get(run) ?? []);
      const question = vectorsIn(asked);
      return candidates
        .map(({ score }, index) => ({
          index,
          score: (score + likeness(question, vectorsIn(given[index] ?? []))) / 2,
        }))
        .toSorted((a, b) => b.score - a.score);
    },
  };
}

function runsOf(text: string): readonly string[] {
  const words = text
    .toWellFormed()
    .split(/\s+/)
    .filter(Boolean)
    .slice(0, runsMax + runWords);
  if (words.length === 0) return [];
  const starts = Math.max(1, words.length - runWords + 1);
  return Array.from({ length: Math.min(runsMax, starts) }, (_, i) =>
    words.slice(i, i + runWords).join(" "),
  );
}

/** The mean over the question's runs of the cosine to the nearest of the candidate's; 0 to 1. */
function likeness(question: readonly Float32Array[], candidate: readonly Float32Array[]): number {
  if (question.length === 0 || candidate.length === 0) return 0;
  const nearest = question.map((run) => Math.max(0, ...candidate.map((other) => dot(run, other))));
  return nearest.reduce((sum, each) => sum + each, 0) / question.length;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
