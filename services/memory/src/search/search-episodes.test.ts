import { deterministicEmbedder } from "@soldier/ai/deterministic";
import type { Embedder } from "@soldier/ai/embedder";
import { Fault } from "@soldier/kernel/fault";
import { silentLog } from "@soldier/kernel/log";
import { describe, expect, it } from "vitest";
import type { Episode } from "../domain/episode.ts";
import { groupIndex } from "./group-index.ts";
import { type EpisodeSearch, episodeSearcher } from "./search-episodes.ts";
import type { TenantGroups } from "./tenant-groups.ts";

const good = deterministicEmbedder(8);
const at = new Date("2026-03-01T10:00:00Z");

const episode: Episode = {
  tenantId: "acme",
  id: "e1",
  groupId: "ana",
  customerId: "ana",
  agentId: "",
  sessionId: "s1",
  turnId: "",
  ingestKey: "k",
  role: "user",
  text: "my parcel has not come",
  occurredAt: at,
  recordedAt: at,
  revision: 1,
};

const notAsked: TenantGroups = {
  ready: async () => false,
  excerpt: () => Promise.reject(new Error("not asked")),
};

async function searcherOf(embedder: Embedder, clock = { ms: 0 }, tenantReady = false) {
  const ana = groupIndex("ana", embedder.dimensions);
  const [vector = new Float32Array(8)] = await good.embed([episode.text], AbortSignal.timeout(1e3));
  await ana.extend({
    revision: 2,
    changes: [
      { kind: "episode", revision: 1, episode },
      { kind: "vector", revision: 2, episodeId: "e1", vector },
    ],
  });
  const held = { count: 1_000_000, having: new Map([["parcel", 900_000]]) };
  const tenants: TenantGroups = {
    ready: async () => true,
    excerpt: async () => ({ groups: [ana], held, partial: false }),
  };
  return episodeSearcher({
    groups: { fresh: async () => [ana] },
    tenants: tenantReady ? tenants : notAsked,
    embedder,
    weights: { vector: 0.4, bm25: 0.6, neighbours: 0.4, session: 0.5 },
    log: silentLog,
    monotonicMs: () => clock.ms,
  });
}

const search: EpisodeSearch = {
  tenantId: "acme",
  groupIds: ["ana"],
  text: "parcel",
  embedding: undefined,
  hitsMax: 10,
  tokensMax: undefined,
  validAt: at,
  recordedAt: undefined,
  exceptSessionId: "",
};

const failing = (error: Error): Embedder => ({
  ...good,
  embed: () => Promise.reject(error),
});

describe("a search", () => {
  it("goes by words alone while the embedder is away", async () => {
    const searcher = await searcherOf(failing(new Fault("unavailable", "gone")));
    const {
      hits: [hit],
    } = await searcher.search(search, AbortSignal.timeout(1_000));
    expect(hit?.episode.id).toBe("e1");
    expect(hit?.parts).not.toHaveProperty("vector");
  });
  it("does not hide a bug of the embedder", async () => {
    const searcher = await searcherOf(failing(new TypeError("bug")));
    await expect(searcher.search(search, AbortSignal.timeout(1_000))).rejects.toThrow("bug");
  });
  it("makes no model call when it is given the vector", async () => {
    const searcher = await searcherOf(failing(new TypeError("not to be called")));
    const [vector = new Float32Array(8)] = await good.embed(["parcel"], AbortSignal.timeout(1_000));
    const embedding = { model: good.model, vector };
    const {
      hits: [hit],
    } = await searcher.search({ ...search, embedding }, AbortSignal.timeout(1_000));
    expect(hit?.parts).toHaveProperty("vector");
  });
  it("looks in the whole tenant where that can be done, and else in the groups given, and says which", async () => {
    const every = { ...search, everyGroup: true };
    const found = async (searcher: Awaited<ReturnType<typeof searcherOf>>) => {
      const { hits, partial } = await searcher.search(every, AbortSignal.timeout(1_000));
      return { score: hits[0]?.parts["bm25"] ?? 0, partial };
    };
    const here = await found(await searcherOf(good));
    expect(here.partial).toBe(true);
    const everywhere = await found(await searcherOf(good, { ms: 0 }, true));
    expect(everywhere.partial).toBe(false);
    expect(everywhere.score).toBeGreaterThan(0);
  });
  it("ends when it is cancelled", async () => {
    const searcher = await searcherOf(good);
    const cancelled = AbortSignal.abort(new Fault("cancelled", "the caller left"));
    await expect(searcher.search(search, cancelled)).rejects.toMatchObject({ kind: "cancelled" });
  });
  it("says that somebody is waiting while it runs and for a while after", async () => {
    const clock = { ms: 0 };
    const searcher = await searcherOf(good, clock);
    expect(searcher.busyWithin(1_000)).toBe(false);
    const running = searcher.search(search, AbortSignal.timeout(1_000));
    expect(searcher.busyWithin(1_000)).toBe(true);
    await running;
    clock.ms = 999;
    expect(searcher.busyWithin(1_000)).toBe(true);
    clock.ms = 1_000;
    expect(searcher.busyWithin(1_000)).toBe(false);
  });
});
