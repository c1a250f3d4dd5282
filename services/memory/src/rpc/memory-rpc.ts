import type { Embedder } from "@soldier/ai/embedder";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { tenantOf } from "@soldier/chassis/identity";
import { type Route, route } from "@soldier/chassis/service";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { isId } from "@soldier/kernel/ids";
import type { Episode as EpisodeMessage } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { violations } from "../domain/episode.ts";
import type { MemorySearcher } from "../search/search-memory.ts";
import type { LatestGroups } from "../store/latest-groups.ts";
import type { EpisodeStore } from "../store/episode-store.ts";
import type { ClosingLimits } from "../domain/closings.ts";
import type { FactStore } from "../store/fact-store.ts";
import type { GraphStore } from "../store/graph-store.ts";
import type { Eraser } from "../erase/erase.ts";
import type { ResolutionStore } from "../store/resolution-store.ts";
import type { ErasureStore } from "../store/erasure-store.ts";
import type { SummaryStore } from "../store/summary-store.ts";
import { erasureRpc } from "./erasure-rpc.ts";
import { factsRpc } from "./facts-rpc.ts";
import { graphRpc } from "./graph-rpc.ts";
import { ingestionRpc } from "./ingestion-rpc.ts";
import { episodeMessage, hitMessage, newEpisode, queryEmbedding } from "./convert.ts";
import { summariesRpc } from "./summaries-rpc.ts";
import { pageToken, revisionOf } from "./page-token.ts";

export interface MemoryRpcOptions {
  readonly store: EpisodeStore;
  readonly facts: FactStore;
  readonly graph: GraphStore;
  readonly limits: ClosingLimits;
  readonly erasures: ErasureStore;
  readonly eraser: Eraser;
  readonly resolutions: ResolutionStore;
  readonly summaries: Pick<SummaryStore, "list" | "bring">;
  readonly embedder: Embedder;
  readonly searcher: MemorySearcher;
  /** Where a search of the whole tenant looks. */
  readonly everyGroup: (tenantId: string) => Promise<LatestGroups>;
  readonly clock: Clock;
  /** Called after episodes were entered for a stage. */
  readonly stored: () => void;
}

const hitsDefault = 10;
const pageDefault = 50;

export function memoryRpc({
  store,
  facts,
  graph,
  limits,
  erasures,
  eraser,
  resolutions,
  summaries,
  embedder,
  searcher,
  everyGroup,
  clock,
  stored,
}: MemoryRpcOptions): Route {
  async function add(tenantId: string, message: EpisodeMessage | undefined) {
    const [added] = await store.add(tenantId, [checked(message, clock.now())]);
    if (!added) throw new Error("the store answered nothing for an episode");
    if (added.added) stored();
    return added;
  }

  return route(MemoryService, {
    ...factsRpc({ facts, limits, clock }),
    ...graphRpc({ graph, facts, clock }),
    ...erasureRpc({ erasures, eraser }),
    ...summariesRpc({ summaries, embedder }),
    ...ingestionRpc({ resolutions, facts, entered: stored }),

    async search(req, ctx) {
      if (req.everyGroup === req.groupIds.length > 0) throw noGroup(req.everyGroup);
      const tenantId = tenantOf(ctx);
      const { groupIds, partial } = req.everyGroup
        ? await everyGroup(tenantId)
        : { groupIds: req.groupIds, partial: false };
      const found = await searcher.search(
        {
          tenantId,
          groupIds,
          everyGroup: partial,
          factsMax: req.factsMax,
          summariesMax: req.summariesMax,
          text: req.query,
          embedding: queryEmbedding(req.embedding),
          hitsMax: req.hitsMax || hitsDefault,
          tokensMax: req.tokensMax > 0 ? req.tokensMax : undefined,
          validAt: req.asOf?.valid ? timestampDate(req.asOf.valid) : clock.now(),
          isNow: req.asOf?.valid === undefined,
          recordedAt: req.asOf?.recorded && timestampDate(req.asOf.recorded),
          exceptSessionId: req.exceptSessionId,
        },
        ctx.signal,
      );
      const now = clock.now().getTime();
      const instant = req.asOf?.valid ? timestampDate(req.asOf.valid).getTime() : now;
      return {
        hits: found.hits.map((hit) => hitMessage(hit, instant)),
        partial: found.partial,
      };
    },

    async recall(req, ctx) {
      const { hits } = await searcher.search(
        {
          tenantId: tenantOf(ctx),
          groupIds: [req.customerId, ...req.aliasIds],
          factsMax: req.factsMax,
          summariesMax: req.summariesMax,
          text: req.query,
          embedding: queryEmbedding(req.embedding),
          hitsMax: req.hitsMax || hitsDefault,
          tokensMax: req.tokensMax > 0 ? req.tokensMax : undefined,
          validAt: clock.now(),
          isNow: true,
          recordedAt: undefined,
          exceptSessionId: req.exceptSessionId,
        },
        ctx.signal,
      );
      const now = clock.now().getTime();
      return { hits: hits.map((hit) => hitMessage(hit, now)) };
    },

    async addEpisode({ episode }, ctx) {
      const { episode: there, added } = await add(tenantOf(ctx), episode);
      const staged = await store.get(there.tenantId, there.id);
      return { episode: episodeMessage(there, staged?.stages), added };
    },

    async *addEpisodes(requests, ctx) {
      const tenantId = tenantOf(ctx);
      for await (const { episode } of requests) {
        const { episode: there, added } = await add(tenantId, episode);
        yield { ingestKey: there.ingestKey, added };
      }
    },

    async getEpisode({ episodeId }, ctx) {
      const found = isId(episodeId) ? await store.get(tenantOf(ctx), episodeId) : undefined;
      if (!found)
        throw new Fault("not-found", `no episode ${episodeId}`, { reason: "EPISODE_NOT_FOUND" });
      return { episode: episodeMessage(found.episode, found.stages) };
    },

    async listEpisodes({ groupId, pageSize, pageToken: token }, ctx) {
      const limit = pageSize || pageDefault;
      const page = await store.list(tenantOf(ctx), groupId, limit, revisionOf(token));
      return {
        episodes: page.episodes.map(({ episode, stages }) => episodeMessage(episode, stages)),
        nextPageToken: page.next === undefined ? "" : pageToken(page.next),
      };
    },
  });
}

function noGroup(everyGroup: boolean): Fault {
  const description = everyGroup
    ? "must be empty with every_group"
    : "must name a group, or every_group be set";
  return new Fault("invalid", "a search is of groups, or of every group", {
    reason: "GROUPS_INVALID",
    fields: [{ field: "group_ids", description }],
  });
}

/** What may be stored. Throws an "invalid" Fault that names every bad field. */
function checked(message: EpisodeMessage | undefined, now: Date) {
  const episode = message && newEpisode(message, now);
  if (!episode) {
    const description = "must be user, agent, event or document";
    throw new Fault("invalid", "an episode has a role", {
      reason: "EPISODE_INVALID",
      fields: [{ field: "episode.role", description }],
    });
  }
  const fields = violations(episode);
  if (fields.length > 0)
    throw new Fault("invalid", "the episode cannot be stored", {
      reason: "EPISODE_INVALID",
      fields,
    });
  return episode;
}
