import { type Embedder, embedOne } from "@soldier/ai/embedder";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import type { GroupCache } from "./group-cache.ts";
import type { GroupIndex } from "./group-index.ts";
import {
  cueWeights,
  type EpisodeHit,
  type EpisodeQuery,
  rankEpisodes,
  type SearchWeights,
} from "./rank-episodes.ts";
import type { TenantGroups } from "./tenant-groups.ts";

export interface EpisodeSearch extends Omit<EpisodeQuery, "vector"> {
  readonly tenantId: string;
  readonly groupIds: readonly string[];
  /** All groups of the tenant instead, where that can be searched; else those. */
  readonly everyGroup?: boolean;
  /** What groupsOf answered, when the caller has asked. */
  readonly groups?: readonly GroupIndex[] | undefined;
  /** The query's vector, when the caller has one, with the model that it came from. */
  readonly embedding: { readonly model: string; readonly vector: Float32Array } | undefined;
}

export interface FoundEpisodes {
  readonly hits: readonly EpisodeHit[];
  /** Every group was asked for, and not everything in them was looked at. */
  readonly partial: boolean;
}

export interface EpisodeSearcher {
  /** The query's vector; undefined when it could not be had: words alone must do. */
  vectorOf(
    search: Pick<EpisodeSearch, "text" | "embedding">,
    signal: AbortSignal,
  ): Promise<Float32Array | undefined>;
  /** The groups that are named, as they stand; undefined when the whole tenant is searched instead. */
  groupsOf(
    search: Pick<EpisodeSearch, "tenantId" | "groupIds" | "everyGroup">,
  ): Promise<readonly GroupIndex[] | undefined>;
  /** The best episodes, best first. Makes no model call beyond the query's own vector. */
  search(search: EpisodeSearch, signal: AbortSignal): Promise<FoundEpisodes>;
  /** Whether a search is running, or ended less than so many milliseconds ago. */
  busyWithin(periodMs: number): boolean;
}

export interface SearcherOptions {
  readonly groups: GroupCache;
  readonly tenants: TenantGroups;
  readonly embedder: Embedder;
  readonly weights: Omit<SearchWeights, keyof typeof cueWeights>;
  readonly log: Log;
  readonly monotonicMs: () => number;
}

export function episodeSearcher(options: SearcherOptions): EpisodeSearcher {
  const { groups, tenants, embedder, log, monotonicMs } = options;
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

  async function searching<T>(work: () => Promise<T>): Promise<T> {
    running++;
    try {
      return await work();
    } finally {
      running--;
      lastEndedMs = monotonicMs();
    }
  }

  const groupsOf: EpisodeSearcher["groupsOf"] = ({ tenantId, groupIds, everyGroup }) =>
    searching(async () =>
      everyGroup && (await tenants.ready()) ? undefined : groups.fresh(tenantId, groupIds),
    );

  return {
    vectorOf: queryVector,
    groupsOf,

    search: (search, signal) =>
      searching(async () => {
        const [found, vector] = await Promise.all([
          search.groups ?? groupsOf(search),
          queryVector(search, signal),
        ]);
        signal.throwIfAborted();
        if (!found) {
          const excerpt = await tenants.excerpt(search.tenantId, { ...search, vector });
          signal.throwIfAborted();
          const query = { ...search, vector, held: excerpt.held };
          return { hits: rankEpisodes(excerpt.groups, query, weights), partial: excerpt.partial };
        }
        const told = found.filter(({ episodes }) => episodes.length > 0);
        const hits = rankEpisodes(told, { ...search, vector }, weights);
        return { hits, partial: search.everyGroup ?? false };
      }),
    busyWithin: (periodMs) => running > 0 || monotonicMs() - lastEndedMs < periodMs,
  };
}
