import type { Reranker } from "@soldier/ai/reranker";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import { withinTokens } from "./rank-episodes.ts";
import { type MemoryHit, type MemorySearch, type MemorySearcher, textOf } from "./search-memory.ts";

export interface RerankOptions {
  readonly reranker: Reranker;
  /** Hits that it reads: more find more of what scores had far down, and take longer. */
  readonly hitsMax: number;
  readonly log: Log;
}

/**
 * The same searcher, whose hits a reranker puts in a better order; what it says of each is among the parts
 * of its score. It only changes places: the scores stay what they were, one for each place, since thresholds
 * are on their scale. Without an answer of the reranker the order stays as it was found.
 */
export function rerankedSearcher(searcher: MemorySearcher, options: RerankOptions): MemorySearcher {
  const { reranker, hitsMax, log } = options;

  async function reordered(
    { text }: MemorySearch,
    hits: readonly MemoryHit[],
    signal: AbortSignal,
  ): Promise<readonly MemoryHit[]> {
    const [read, rest] = [hits.slice(0, hitsMax), hits.slice(hitsMax)];
    const candidates = read.map((hit) => ({ text: textOf(hit), score: hit.score }));
    const order = await reranker.rerank(text, candidates, signal);
    const placed = order.flatMap(({ index, score: rerank }, place) => {
      const [hit, score] = [read[index], read[place]?.score];
      if (!hit || score === undefined) return [];
      return [{ ...hit, score, parts: { ...hit.parts, rerank } }];
    });
    return [...placed, ...rest];
  }

  return {
    async search(search, signal) {
      const wide = { ...search, hitsMax: Math.max(search.hitsMax, hitsMax), tokensMax: undefined };
      const { hits, partial } = await searcher.search(wide, signal);
      const ordered = await reordered(search, hits, signal).catch((error: unknown) => {
        if (!(error instanceof Fault) || error.kind !== "unavailable") throw error;
        log.warn({ err: error }, "memories are in the order in which they were found");
        return hits;
      });
      let episodes = 0;
      const wanted = ordered.filter(
        ({ kind }) => kind !== "episode" || ++episodes <= search.hitsMax,
      );
      return { hits: withinTokens(wanted, textOf, search.tokensMax), partial };
    },
  };
}
