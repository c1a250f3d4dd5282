import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { testIdentity } from "@soldier/chassis/testing";
import { newId } from "@soldier/kernel/ids";
import {
  Authority,
  ClaimKind,
  EpisodeRole,
  IngestionStatus,
} from "@soldier/proto/memory/v1/memory";
import { FactMode, MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type MemoryUnderTest, runMemory } from "./testing/run-memory.ts";

// The first text starts a thread that reads libraries of its own, beside all other tests.
vi.setConfig({ testTimeout: 60_000 });

const wait = { timeout: 50_000, interval: 25 };
const at = (text: string) => timestampFromDate(new Date(text));

describeOn("memory, given what nobody should give it,", testDatabase(), (database) => {
  let running: MemoryUnderTest;
  beforeAll(async () => {
    running = await runMemory({ database, memory: { embed_poll_ms: 20, erase_poll_ms: 50 } });
  });
  afterAll(() => running[Symbol.asyncDispose]());

  function world() {
    const [tenantId, groupId] = [newId(), newId()];
    const memories = running.mesh.as(testIdentity({ tenantId }))(MemoryService);
    const say = async (text: string, over: { at?: string; recordedAt?: string } = {}) => {
      const { episode } = await memories.addEpisode({
        episode: {
          groupId,
          customerId: groupId,
          sessionId: "s",
          ingestKey: newId(),
          role: EpisodeRole.USER,
          text,
          occurredAt: at(over.at ?? "2026-03-02T10:00:00Z"),
          ...(over.recordedAt && { recordedAt: at(over.recordedAt) }),
        },
      });
      return episode?.id ?? "";
    };
    const claim = (predicate: string, value: string, from: string, to?: string) =>
      memories.addClaims({
        claims: [
          {
            groupId,
            kind: ClaimKind.ASSERT,
            subject: groupId,
            predicate,
            value: { case: "object", value },
            validFrom: at(from),
            ...(to && { validTo: at(to) }),
            authority: Authority.USER,
          },
        ],
      });
    const facts = async (mode: FactMode = FactMode.CURRENT) =>
      (await memories.queryFacts({ groupIds: [groupId], mode })).facts.map(({ value }) =>
        value.case === "object" ? value.value : value.value?.kind.value,
      );
    return { memories, groupId, say, claim, facts };
  }

  it.each([
    `AND OR NOT NEAR "lamp`,
    `lamp & | ! <-> :* ( ) %_`,
    `'; drop table episodes; -- lamp`,
    String.raw`\x00 \\ [lamp] {lamp} ^lamp$ .* + ?`,
    "lamp:* lamp~2 text:lamp -lamp +lamp",
    "lamp\u0000\u0007\u202e\ufeff\ud83d 💡",
    `${"lamp ".repeat(2_000)}`,
  ])("reads no operators in a query: %j", async (query) => {
    const { memories, groupId, say } = world();
    await say("The lamp is broken.");
    const { hits } = await memories.search({ query, groupIds: [groupId] });
    expect(hits.map(({ found }) => found.case === "episode" && found.value.text)).toEqual([
      "The lamp is broken.",
    ]);
  });

  it("ends nothing by a predicate that nobody has declared", async () => {
    const { claim, facts } = world();
    await claim("sails_with", "anna", "2024-01-01");
    await claim("sails_with", "ben", "2025-01-01");
    expect(new Set(await facts())).toEqual(new Set(["anna", "ben"]));
  });

  it("refuses an interval that ends before it begins, and stores nothing of its batch", async () => {
    const { claim, facts } = world();
    await expect(claim("lives_in", "rome", "2025-01-01", "2024-01-01")).rejects.toMatchObject({
      kind: "invalid",
      fields: [{ field: "claims[0].valid_to" }],
    });
    expect(await facts(FactMode.HISTORY)).toEqual([]);
  });

  it("records by its own clock, whatever time a client says it is", async () => {
    const { memories, say, groupId } = world();
    const before = Date.now();
    const id = await say("I live in Leeds.", {
      at: "2031-01-01T00:00:00Z",
      recordedAt: "2999-01-01T00:00:00Z",
    });
    const { episode } = await memories.getEpisode({ episodeId: id });
    const recorded = episode?.recordedAt && timestampDate(episode.recordedAt).getTime();
    expect(Math.abs((recorded ?? 0) - before)).toBeLessThan(600_000);
    expect(episode?.occurredAt).toEqual(at("2031-01-01T00:00:00Z"));
    await vi.waitFor(async () => {
      const mode = FactMode.HISTORY;
      const { facts } = await memories.queryFacts({ groupIds: [groupId], mode });
      // What is said of a time to come holds then, and not now.
      expect(facts.map(({ validFrom }) => validFrom)).toEqual([at("2031-01-01T00:00:00Z")]);
    }, wait);
  });

  it("keeps nothing of what is erased while it is taken in", async () => {
    const { memories, groupId, say } = world();
    const texts = Array.from({ length: 45 }, (_, i) => `My sister Anna lives in Town${i}.`);
    const erased: Promise<unknown>[] = [];
    const kept: string[] = [];
    for (const [i, text] of texts.entries()) {
      const id = await say(text);
      if (i % 3 === 0) kept.push(id);
      else erased.push(memories.erase({ scope: { case: "episodeId", value: id } }));
    }
    await Promise.all(erased);
    await vi.waitFor(async () => {
      const { episodes } = await memories.listEpisodes({ groupId, pageSize: 100 });
      expect(episodes.map(({ id }) => id).toSorted()).toEqual(kept.toSorted());
      const statuses = new Set(
        episodes.flatMap(({ stages }) => stages.map(({ status }) => status)),
      );
      expect(statuses).toEqual(new Set([IngestionStatus.DONE, IngestionStatus.WAITING]));
      const { erasures } = await memories.listErasures({ pageSize: 100 });
      expect(erasures.filter(({ finishedAt }) => finishedAt)).toHaveLength(30);
    }, wait);
    const { facts: all } = await memories.queryFacts({
      groupIds: [groupId],
      mode: FactMode.HISTORY,
      pageSize: 500,
    });
    // Each sister lives in the town of one text.
    const towns = new Set(all.flatMap(({ value }) => (value.case === "object" ? value.value : [])));
    expect(all.length).toBeGreaterThan(0);
    const { entities } = await memories.listEntities({ groupId, pageSize: 500 });
    const said = entities.filter(({ id }) => towns.has(id)).map(({ name }) => name);
    const gone = texts.flatMap((_, i) => (i % 3 === 0 ? [] : [`Town${i}`]));
    expect(said.filter((name) => gone.includes(name))).toEqual([]);
    expect(said.some((name) => name.startsWith("Town"))).toBe(true);
    const { summaries } = await memories.listSummaries({ groupId });
    expect(
      summaries.flatMap(({ inputIds }) => inputIds.filter((id) => !kept.includes(id))),
    ).toEqual([]);
  }, 120_000);
});
