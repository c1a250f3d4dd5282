import { type Embedder, embedOne } from "@soldier/ai/embedder";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import type { GroupCache } from "./group-cache.ts";
import {
  cueWeights,
  type EpisodeHit,
  type EpisodeQuery,
  rankEpisodes,
  type SearchWeights,
} from "./rank-episodes.ts";

export interface EpisodeSearch extends Omit<EpisodeQuery, "vector"> {
  readonly tenantId: string;
  readonly groupIds: readonly string[];
  /** The query's vector, when the caller has one, with the model that it came from. */
  readonly embedding: { readonly model: string; readonly vector: Float32Array } | undefined;
}

export interface EpisodeSearcher {
  /** The query's vector; undefined when it could not be had: words alone must do. */
  vectorOf(
    search: Pick<EpisodeSearch, "text" | "embedding">,
    signal: AbortSignal,
  ): Promise<Float32Array | undefined>;
  /** The best episodes, best first. Makes no model call beyond the query's own vector. */
  search(search: EpisodeSearch, signal: AbortSignal): Promise<readonly EpisodeHit[]>;
  /** Whether a search is running, or ended less than so many milliseconds ago. */
  busyWithin(periodMs: number): boolean;
}

export interface SearcherOptions {
  readonly groups: GroupCache;
  readonly embedder: Embedder;
  readonly weights: Omit<SearchWeights, keyof typeof cueWeights>;
  readonly log: Log;
  readonly monotonicMs: () => number;
}

export function episodeSearcher(options: SearcherOptions): EpisodeSearcher {
  const { groups, embedder, log, monotonicMs } = options;
  const weights = { ...options.weights, ...cueWeights };
  let running = 0;
  let lastEndedMs = -Infinity;

  /** A search whose query cannot be embedded still finds by words. */
  async function queryVector(
    { text, embedding }: Pick<EpisodeSearch, "text" | "embedding">,
    signal: AbortSignal,
  ) {
    if (embedding?.model === embedder.model && embedding.vector.length === embedder.dimensions)
      return embedding.vector;
    try {
      return await embedOne(embedder, text, signal, "query");
    } catch (error) {
      if (signal.aborted || !(error instanceof Fault)) throw error;
      log.warn({ err: error, model: embedder.model }, "searching by words alone");
      return undefined;
    }
  }

  return {
    vectorOf: queryVector,

    async search(search, signal) {
      running++;
      try {
        const [found, vector] = await Promise.all([
          groups.fresh(search.tenantId, search.groupIds),
          queryVector(search, signal),
        ]);
        signal.throwIfAborted();
        return rankEpisodes(found, { ...search, vector }, weights);
      } finally {
        running--;
        lastEndedMs = monotonicMs();
      }
    },
    busyWithin: (periodMs) => running > 0 || monotonicMs() - lastEndedMs < periodMs,
  };
}
