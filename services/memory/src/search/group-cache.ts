import { LRUCache } from "lru-cache";
import type { EpisodeStore } from "../store/episode-store.ts";
import { type GroupIndex, groupIndex } from "./group-index.ts";

/** Groups as they stand in the store, held in memory as long as there is room. */
export interface GroupCache {
  /**
   * The groups that exist, with everything in them that was stored before the call, by whichever
   * replica. One statement, which reads only what is new.
   */
  fresh(tenantId: string, groupIds: readonly string[]): Promise<readonly GroupIndex[]>;
}

export interface GroupCacheOptions {
  readonly store: Pick<EpisodeStore, "news">;
  /** Whose vectors are held. */
  readonly embedder: { readonly model: string; readonly dimensions: number };
  /** The groups used least recently leave when all together are larger than this. */
  readonly bytesMax: number;
}

export function groupCache({ store, embedder, bytesMax }: GroupCacheOptions): GroupCache {
  const { model, dimensions } = embedder;
  const held = new LRUCache<string, GroupIndex>({
    maxSize: bytesMax,
    sizeCalculation: (group) => group.sizeBytes,
  });
  /** Groups being read for the first time: large ones take a while, and all of a burst ask. */
  const loading = new Map<string, Promise<void>>();

  async function refresh(tenantId: string, groups: Map<string, GroupIndex>) {
    const known = Array.from(groups.values(), ({ groupId, revision, hasFacts, hasSummaries }) => {
      return { groupId, revision, hasFacts, hasSummaries };
    });
    for (const news of await store.news(tenantId, model, known)) {
      const before = groups.get(news.groupId);
      if (!before) continue;
      const group = news.anew ? groupIndex(news.groupId, dimensions) : before;
      await group.extend(news);
      groups.set(news.groupId, group);
      const key = keyOf(tenantId, news.groupId);
      held.delete(key); // or it would keep the size that it came with
      held.set(key, group);
    }
  }

  return {
    async fresh(tenantId, groupIds) {
      const ids = [...new Set(groupIds)];
      let others: readonly Promise<void>[];
      do {
        others = ids.flatMap((id) => loading.get(keyOf(tenantId, id)) ?? []);
        if (others.length > 0) await Promise.all(others);
      } while (others.length > 0);
      // From here to loading.set() nothing may wait, or two would read the same group.
      const cold = ids.filter((id) => !held.has(keyOf(tenantId, id)));
      const groups = new Map(
        ids.map((id) => [id, held.get(keyOf(tenantId, id)) ?? groupIndex(id, dimensions)]),
      );
      const refreshed = refresh(tenantId, groups);
      // Whoever waits for it tries for itself after a failure; the failure is told here.
      const settled = refreshed.catch(() => {});
      for (const id of cold) loading.set(keyOf(tenantId, id), settled);
      try {
        await refreshed;
      } finally {
        for (const id of cold) loading.delete(keyOf(tenantId, id));
      }
      return [...groups.values()].filter(isThere);
    },
  };
}

function isThere({ episodes, hasFacts, hasSummaries }: GroupIndex): boolean {
  return episodes.length > 0 || hasFacts || hasSummaries;
}

function keyOf(tenantId: string, groupId: string): string {
  return JSON.stringify([tenantId, groupId]);
}
