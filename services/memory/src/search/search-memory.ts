import type { Summary } from "../domain/summary.ts";
import type { SummaryFinds } from "../store/find-summaries.ts";
import type { FactCandidate, FactFinder } from "./find-facts.ts";
import { bm25Shares, lexicon } from "./lexicon.ts";
import { type EpisodeHit, stretched, withinTokens } from "./rank-episodes.ts";
import type { EpisodeSearch, EpisodeSearcher } from "./search-episodes.ts";
import { lexicalWords } from "./words.ts";

export interface MemorySearch extends EpisodeSearch {
  /** Beside hitsMax episodes; 0 for none. */
  readonly factsMax: number;
  readonly summariesMax: number;
}

interface Scored {
  /** 0 to 1. */
  readonly score: number;
  readonly parts: Readonly<Record<string, number>>;
}

/** Something that was found, whatever it is. */
export type MemoryHit =
  | (EpisodeHit & { readonly kind: "episode" })
  | (Scored & FactCandidate & { readonly kind: "fact" })
  | (Scored & { readonly kind: "summary"; readonly summary: Summary });

export interface MemorySearcher {
  /** Episodes, and what is asked for beside them, best first. The budget of tokens is for all of them. */
  search(search: MemorySearch, signal: AbortSignal): Promise<FoundMemory>;
}

export interface FoundMemory {
  readonly hits: readonly MemoryHit[];
  /** Every group was asked for, and not everything in them was looked at. */
  readonly partial: boolean;
}

export interface MemorySearcherOptions {
  readonly episodes: EpisodeSearcher;
  readonly facts: FactFinder;
  readonly summaries: SummaryFinds;
  readonly embedder: { readonly model: string };
  readonly weights: { readonly vector: number; readonly bm25: number };
}

/** Episodes that lend their scores to the facts that were said in them. */
const sourcesMax = 100;
/** Summaries that are compared with a question: the latest. */
const summariesCompared = 500;
/** A fact's own words, the best episode in which it was said, and how near it is to what is named. */
const factWeights = { bm25: 0.55, source: 0.3, graph: 0.15 } as const;

export function memorySearcher(options: MemorySearcherOptions): MemorySearcher {
  const { episodes, facts, summaries, embedder, weights } = options;

  return {
    async search(search, signal) {
      const { tenantId, groupIds, hitsMax, tokensMax, text, validAt, recordedAt } = search;
      if (search.factsMax === 0 && search.summariesMax === 0) {
        const { hits, partial } = await episodes.search(search, signal);
        return { hits: hits.map(asEpisode), partial };
      }
      const [groups, vector] = await Promise.all([
        episodes.groupsOf(search),
        episodes.vectorOf(search, signal),
      ]);
      const point = { groupIds, validAt, recordedAt };
      const happenedBy = search.isNow ? undefined : validAt;
      // Of most customers nothing is held beside episodes; of a whole tenant it is not known.
      const hasFacts = groups?.some((group) => group.hasFacts) ?? true;
      const hasSummaries = groups?.some((group) => group.hasSummaries) ?? true;
      const [known, made] = await Promise.all([
        search.factsMax > 0 && hasFacts ? facts.candidates(tenantId, text, point) : [],
        search.summariesMax > 0 && hasSummaries
          ? summaries(
              tenantId,
              { ...point, validAt: happenedBy },
              embedder.model,
              summariesCompared,
            )
          : [],
      ]);
      signal.throwIfAborted();
      const embedding = vector && { model: embedder.model, vector };
      const { hits: found } = await episodes.search(
        {
          ...search,
          groups,
          embedding,
          graph: nearness(known),
          hitsMax: search.factsMax > 0 ? Math.max(hitsMax, sourcesMax) : hitsMax,
          tokensMax: undefined,
        },
        signal,
      );
      const words = lexicalWords(text);
      const scored = [
        ...found.slice(0, hitsMax).map(asEpisode),
        ...factHits(known, words, found).slice(0, search.factsMax),
        ...summaryHits(made, words, vector, weights).slice(0, search.summariesMax),
      ].toSorted((a, b) => b.score - a.score); // episodes of one score stay in their order
      // Facts and summaries are those of the groups that are named, however far episodes are looked for.
      return {
        hits: withinTokens(scored, textOf, tokensMax),
        partial: search.everyGroup ?? false,
      };
    },
  };
}

export function textOf(hit: MemoryHit): string {
  switch (hit.kind) {
    case "episode":
      return hit.episode.text;
    case "fact":
      return hit.text;
    case "summary":
      return hit.summary.text;
  }
}

function asEpisode(hit: EpisodeHit): MemoryHit {
  return { ...hit, kind: "episode" };
}

/** Of each episode the nearest fact that was said in it. */
function nearness(facts: readonly FactCandidate[]): ReadonlyMap<string, number> {
  const near = new Map<string, number>();
  for (const { graph, episodeIds } of facts)
    if (graph > 0) for (const id of episodeIds) near.set(id, Math.max(near.get(id) ?? 0, graph));
  return near;
}

function factHits(
  facts: readonly FactCandidate[],
  words: readonly string[],
  found: readonly EpisodeHit[],
): readonly MemoryHit[] {
  const shares = wordShares(
    facts.map(({ text }) => text),
    words,
  );
  const scores = new Map(found.map(({ episode, score }) => [episode.id, score]));
  return facts
    .map((candidate, i): MemoryHit => {
      const bm25 = shares[i] ?? 0;
      const source = Math.max(0, ...candidate.episodeIds.map((id) => scores.get(id) ?? 0));
      const { graph } = candidate;
      const score = stretched(
        factWeights.bm25 * bm25 + factWeights.source * source + factWeights.graph * graph,
      );
      return { ...candidate, kind: "fact", score, parts: { bm25, source, graph } };
    })
    .filter(({ score }) => score > 0)
    .toSorted(order);
}

function summaryHits(
  made: Awaited<ReturnType<SummaryFinds>>,
  words: readonly string[],
  query: Float32Array | undefined,
  weights: MemorySearcherOptions["weights"],
): readonly MemoryHit[] {
  const shares = wordShares(
    made.map(({ summary }) => summary.text),
    words,
  );
  return made
    .map(({ summary, vector }, i): MemoryHit => {
      const bm25 = shares[i] ?? 0;
      const alike = query && vector && cosine(query, vector);
      const own =
        alike === undefined
          ? bm25
          : (weights.vector * Math.max(0, alike) + weights.bm25 * bm25) /
            (weights.vector + weights.bm25);
      const parts = { ...(alike !== undefined && { vector: alike }), bm25 };
      return { kind: "summary", summary, score: stretched(own), parts };
    })
    .filter(({ score }) => score > 0)
    .toSorted(order);
}

/** The BM25 score of each text among these. */
function wordShares(texts: readonly string[], words: readonly string[]): Float32Array {
  const list = lexicon();
  for (const text of texts) list.add(lexicalWords(text));
  const visible = new Uint8Array(texts.length).fill(1);
  return bm25Shares([{ texts: list, visible }], words)[0] ?? new Float32Array(texts.length);
}

/** Of two unit vectors; 0 when they cannot be compared. */
function cosine(a: Float32Array, b: Float32Array): number {
  return a.length === b.length ? a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0) : 0;
}

function order(a: MemoryHit, b: MemoryHit): number {
  return b.score - a.score || (idOf(a) < idOf(b) ? -1 : 1);
}

function idOf(hit: MemoryHit): string {
  if (hit.kind === "episode") return hit.episode.id;
  return hit.kind === "fact" ? hit.fact.factId : hit.summary.id;
}
