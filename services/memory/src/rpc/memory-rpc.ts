import { timestampDate } from "@bufbuild/protobuf/wkt";
import { tenantOf } from "@soldier/chassis/identity";
import { type Route, route } from "@soldier/chassis/service";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { isId } from "@soldier/kernel/ids";
import type { Episode as EpisodeMessage } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { violations } from "../domain/episode.ts";
import type { EpisodeSearcher } from "../search/search-episodes.ts";
import type { EpisodeStore } from "../store/episode-store.ts";
import type { ClosingLimits } from "../domain/closings.ts";
import type { FactStore } from "../store/fact-store.ts";
import { factsRpc } from "./facts-rpc.ts";
import { episodeMessage, hitMessage, newEpisode, queryEmbedding } from "./convert.ts";
import { pageToken, revisionOf } from "./page-token.ts";

export interface MemoryRpcOptions {
  readonly store: EpisodeStore;
  readonly facts: FactStore;
  readonly limits: ClosingLimits;
  readonly searcher: EpisodeSearcher;
  readonly clock: Clock;
  /** Called after episodes were stored that wait to be embedded. */
  readonly stored: () => void;
}

const hitsDefault = 10;
const pageDefault = 50;

export function memoryRpc({
  store,
  facts,
  limits,
  searcher,
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

    async search(req, ctx) {
      const hits = await searcher.search(
        {
          tenantId: tenantOf(ctx),
          groupIds: req.groupIds,
          text: req.query,
          embedding: queryEmbedding(req.embedding),
          hitsMax: req.hitsMax || hitsDefault,
          tokensMax: req.tokensMax > 0 ? req.tokensMax : undefined,
          validAt: req.asOf?.valid ? timestampDate(req.asOf.valid) : clock.now(),
          recordedAt: req.asOf?.recorded && timestampDate(req.asOf.recorded),
          exceptSessionId: req.exceptSessionId,
        },
        ctx.signal,
      );
      return { hits: hits.map(hitMessage) };
    },

    async recall(req, ctx) {
      const hits = await searcher.search(
        {
          tenantId: tenantOf(ctx),
          groupIds: [req.customerId],
          text: req.query,
          embedding: queryEmbedding(req.embedding),
          hitsMax: req.hitsMax || hitsDefault,
          tokensMax: req.tokensMax > 0 ? req.tokensMax : undefined,
          validAt: clock.now(),
          recordedAt: undefined,
          exceptSessionId: req.exceptSessionId,
        },
        ctx.signal,
      );
      return { hits: hits.map(hitMessage) };
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
