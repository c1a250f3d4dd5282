import { rerankerUnavailable, type Reranker } from "@soldier/ai/reranker";
import { silentLog } from "@soldier/kernel/log";
import { testIdentity } from "@soldier/chassis/testing";
import { EpisodeRole } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { runMemory } from "../testing/run-memory.ts";
import { rerankedSearcher } from "./rerank-hits.ts";
import { type MemoryHit, type MemorySearch, type MemorySearcher, textOf } from "./search-memory.ts";

/** A summary each, the best first: they need least. */
const found = (...texts: readonly string[]) =>
  texts.map((text, i) => ({
    kind: "summary",
    summary: { text },
    score: 1 - i / 10,
    parts: { bm25: 0.5 },
  })) as unknown as readonly MemoryHit[]; // nothing else of a hit is looked at here

const backwards: Reranker = {
  id: "test:backwards",
  rerank: async (_query, candidates) =>
    candidates.map((_, i) => ({ index: candidates.length - 1 - i, score: 9 - i })),
};
const away: Reranker = {
  id: "test:away",
  rerank: () => Promise.reject(rerankerUnavailable("not now")),
};

const asked = { text: "where", hitsMax: 2 } as MemorySearch; // the rest is the searcher's business
const signal = new AbortController().signal;

function searching(reranker: Reranker, hits: readonly MemoryHit[], hitsMax = 10) {
  const searches: MemorySearch[] = [];
  const searcher: MemorySearcher = {
    async search(search) {
      searches.push(search);
      return { hits, partial: false };
    },
  };
  return { searches, ...rerankedSearcher(searcher, { reranker, hitsMax, log: silentLog }) };
}

describe("hits that a reranker has read", () => {
  it("change places, and keep the scores of the places", async () => {
    const searcher = searching(backwards, found("a", "b", "c"));
    const { hits } = await searcher.search(asked, signal);
    expect(hits.map(textOf)).toEqual(["c", "b", "a"]);
    expect(hits.map(({ score }) => score)).toEqual([1, 0.9, 0.8]);
    expect(hits[0]?.parts).toEqual({ bm25: 0.5, rerank: 9 });
    expect(searcher.searches[0]).toMatchObject({ hitsMax: 10, tokensMax: undefined });
  });
  it("come before those that it was not given", async () => {
    const searcher = searching(backwards, found("a", "b", "c"), 2);
    expect((await searcher.search(asked, signal)).hits.map(textOf)).toEqual(["b", "a", "c"]);
  });
  it("stay in their order when it does not answer", async () => {
    const searcher = searching(away, found("a", "b"));
    expect((await searcher.search(asked, signal)).hits).toEqual(found("a", "b"));
  });
  it("are cut to the tokens that are wanted afterwards", async () => {
    const searcher = searching(backwards, found("a", "word ".repeat(50), "c"));
    const { hits } = await searcher.search({ ...asked, tokensMax: 5 }, signal);
    expect(hits.map(textOf)).toEqual(["c", "a"]);
  });
});

const [database] = testDatabase();
describeOn("a memory with a reranker", database ? [database] : [], (backend) => {
  it("finds no more episodes than are asked for, and says what the reranker thinks of each", async () => {
    await using running = await runMemory({
      database: backend,
      memory: { extraction: "off", rerank_max: 20 },
      tables: { reranker: { provider: "local" } },
    });
    const memory = running.mesh.as(testIdentity())(MemoryService);
    for (const [i, text] of ["a card game", "my card is blocked", "a post card"].entries())
      await memory.addEpisode({
        episode: {
          ingestKey: `${i}`,
          groupId: "ana",
          customerId: "ana",
          role: EpisodeRole.USER,
          text,
          occurredAt: timestampFromMs(i),
        },
      });
    const { hits } = await memory.recall({
      query: "is my card blocked",
      customerId: "ana",
      hitsMax: 2,
    });
    expect(hits).toHaveLength(2);
    expect(hits[0]?.found.value).toMatchObject({ text: "my card is blocked" });
    expect(hits[0]?.scoreParts["rerank"]).toBeGreaterThan(hits[1]?.scoreParts["rerank"] ?? 1);
  });
  it("does not start with the number of hits for a reranker that is not there", async () => {
    const starting = runMemory({ database: backend, memory: { rerank_max: 20 } });
    await expect(starting).rejects.toThrow(/rerank_max.*\[reranker\]/);
  });
});
