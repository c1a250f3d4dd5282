import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { testIdentity } from "@soldier/chassis/testing";
import { newEvent } from "@soldier/events/event";
import { configPublishedTopic } from "@soldier/events/topics";
import { newId } from "@soldier/kernel/ids";
import { EpisodeRole } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type MemoryUnderTest, runMemory } from "../testing/run-memory.ts";

// The first text starts a thread that reads libraries of its own, beside all other tests.
vi.setConfig({ testTimeout: 60_000 });

const wait = { timeout: 30_000, interval: 25 };
const day = 86_400_000;

describeOn("an agent's retention", testDatabase(), (database) => {
  let running: MemoryUnderTest;
  beforeAll(async () => {
    running = await runMemory({
      database,
      memory: { embed_poll_ms: 20, summaries: "off", expire_poll_ms: 20, erase_poll_ms: 50 },
    });
  });
  afterAll(() => running[Symbol.asyncDispose]());

  function world() {
    const [tenantId, agentId, groupId] = [newId(), newId(), newId()];
    const memories = running.mesh.as(testIdentity({ tenantId }))(MemoryService);
    const say = (text: string, daysAgo: number, agent = agentId) =>
      memories.addEpisode({
        episode: {
          groupId,
          customerId: groupId,
          agentId: agent,
          ingestKey: text,
          role: EpisodeRole.USER,
          text,
          occurredAt: timestampFromDate(new Date(Date.now() - daysAgo * day)),
        },
      });
    const publish = (version: bigint, memoryKeepDays?: number) =>
      running.bus.publish(
        newEvent(
          configPublishedTopic,
          tenantId,
          {
            tenantId,
            agentId,
            version,
            ...(memoryKeepDays !== undefined && { memoryKeepDays }),
          },
          new Date(),
        ),
      );
    const texts = async () => {
      const { episodes } = await memories.listEpisodes({ groupId });
      return episodes.map(({ text }) => text).toSorted();
    };
    const facts = async () => {
      const { facts: found } = await memories.queryFacts({ groupIds: [groupId] });
      return found.map(({ predicate }) => predicate);
    };
    return { memories, groupId, say, publish, texts, facts };
  }

  it("erases what it keeps no longer, with the facts that follow from it, and refuses its return", async () => {
    const { memories, say, publish, texts, facts } = world();
    await say("I live in Leeds.", 40);
    await say("I'm allergic to nuts.", 20);
    await say("I prefer email.", 40, newId()); // another agent keeps it
    await vi.waitFor(async () => expect(await facts()).toHaveLength(3), wait);
    await publish(1n, 30);
    await vi.waitFor(
      async () => expect(await texts()).toEqual(["I prefer email.", "I'm allergic to nuts."]),
      wait,
    );
    expect((await facts()).toSorted()).toEqual(["allergic_to", "prefers"]);
    await vi.waitFor(async () => {
      const { erasures } = await memories.listErasures({});
      expect(erasures).toMatchObject([
        { scope: "expired", askedBy: "retention", erased: { episodes: 1n, claims: 1n } },
      ]);
      expect(erasures[0]?.failed).toBe("");
    }, wait);
    await expect(say("I live in Leeds.", 40)).rejects.toMatchObject({ reason: "EPISODE_ERASED" });
  });

  it("is the latest version's, whichever comes last, and 0 is for good", async () => {
    const { say, publish, texts } = world();
    await say("I live in Leeds.", 400);
    await publish(2n, 0);
    await publish(1n, 30); // late
    await publish(3n); // was live before: says nothing
    await say("I work at a mill.", 300);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await texts()).toHaveLength(2);
    await publish(4n, 350);
    await vi.waitFor(async () => expect(await texts()).toEqual(["I work at a mill."]), wait);
  });
});
