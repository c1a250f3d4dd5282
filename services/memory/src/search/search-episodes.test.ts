import { deterministicEmbedder } from "@soldier/ai/deterministic";
import type { Embedder } from "@soldier/ai/embedder";
import { Fault } from "@soldier/kernel/fault";
import { silentLog } from "@soldier/kernel/log";
import { describe, expect, it } from "vitest";
import type { Episode } from "../domain/episode.ts";
import { groupIndex } from "./group-index.ts";
import { type EpisodeSearch, episodeSearcher } from "./search-episodes.ts";

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

async function searcherOf(embedder: Embedder, clock = { ms: 0 }) {
  const ana = groupIndex("ana", embedder.dimensions);
  const [vector = new Float32Array(8)] = await good.embed([episode.text], AbortSignal.timeout(1e3));
  await ana.extend({
    revision: 2,
    changes: [
      { kind: "episode", revision: 1, episode },
      { kind: "vector", revision: 2, episodeId: "e1", vector },
    ],
  });
  return episodeSearcher({
    groups: { fresh: async () => [ana] },
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
    const [hit] = await searcher.search(search, AbortSignal.timeout(1_000));
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
    const [hit] = await searcher.search({ ...search, embedding }, AbortSignal.timeout(1_000));
    expect(hit?.parts).toHaveProperty("vector");
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
