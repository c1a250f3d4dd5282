import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { testIdentity } from "@soldier/chassis/testing";
import type { EventBus } from "@soldier/events/bus";
import { type Event, newEvent } from "@soldier/events/event";
import { turnCommittedTopic } from "@soldier/events/topics";
import { newId } from "@soldier/kernel/ids";
import { EpisodeRole } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { describeOn, testDatabase, testNats } from "@soldier/storage/testing";
import { describe, expect, it, vi } from "vitest";
import { type MemoryOptions, type MemoryUnderTest, runMemory } from "./testing/run-memory.ts";

const databases = testDatabase();

describeOn("memory, following turns in one process,", databases, (database) => {
  followsTurns({ database });
});

describeOn("memory, following turns over JetStream,", testNats(), (broker) => {
  const [database] = databases;
  if (!database) throw new Error("the embedded PostgreSQL is always there");
  followsTurns({ database, broker });
});

function turnEvent(tenantId: string, customerId: string, number: number): Event {
  const at = new Date(Date.UTC(2026, 2, 1, 10, number));
  const turn = {
    id: newId(),
    sessionId: "s1",
    number,
    userText: `question ${number} about a parcel`,
    replyText: `answer ${number}`,
    receivedAt: timestampFromDate(at),
    committedAt: timestampFromDate(new Date(at.getTime() + 900)),
  };
  return newEvent(turnCommittedTopic, tenantId, { tenantId, customerId, turn }, at);
}

function followsTurns(options: MemoryOptions): void {
  const episodesOf = async ({ mesh }: MemoryUnderTest, tenantId: string, groupId: string) =>
    (await mesh.as(testIdentity({ tenantId }))(MemoryService).listEpisodes({ groupId })).episodes;

  it("stores a pair of episodes for a turn, however often it is delivered", async () => {
    await using running = await runMemory(options);
    const [tenantId, ana] = [newId(), newId()];
    const first = turnEvent(tenantId, ana, 1);
    const again = { ...turnEvent(tenantId, ana, 1), payload: first.payload }; // published anew
    await publishAll(running.bus, [first, first, again, turnEvent(tenantId, ana, 2)]);
    await vi.waitFor(
      async () => {
        const episodes = await episodesOf(running, tenantId, ana);
        expect(episodes.map(({ ingestKey }) => ingestKey).toSorted()).toEqual([
          "s1:1:agent",
          "s1:1:user",
          "s1:2:agent",
          "s1:2:user",
        ]);
      },
      { timeout: 10_000 },
    );
    const [episode] = await episodesOf(running, tenantId, ana);
    expect([EpisodeRole.USER, EpisodeRole.AGENT]).toContain(episode?.role);
  });

  it("goes on after an event that it cannot read", async () => {
    await using running = await runMemory(options);
    const [tenantId, ana] = [newId(), newId()];
    const broken = { ...turnEvent(tenantId, ana, 1), payload: Uint8Array.of(0xff) };
    const leave = new AbortController();
    const given = running.bus.publish(broken, leave.signal); // in one process: until it is given up
    await running.bus.publish(turnEvent(tenantId, ana, 2));
    await vi.waitFor(async () => expect(await episodesOf(running, tenantId, ana)).toHaveLength(2), {
      timeout: 10_000,
    });
    leave.abort(new Error("seen enough"));
    await Promise.allSettled([given]);
  });
}

async function publishAll(bus: EventBus, events: readonly Event[]): Promise<void> {
  for (const event of events) await bus.publish(event);
}

describe("memory", () => {
  it("recalls a turn as soon as it was taken, in other sessions", async () => {
    const [database] = databases;
    if (!database) throw new Error("the embedded PostgreSQL is always there");
    await using running = await runMemory({ database });
    const [tenantId, ana] = [newId(), newId()];
    const mesh = running.mesh.as(testIdentity({ tenantId, roles: [] }))(MemoryService);
    const query = { query: "parcel", customerId: ana };
    for (const number of [1, 2]) {
      await running.bus.publish(turnEvent(tenantId, ana, number));
      const { hits } = await mesh.recall(query);
      const texts = hits.map(({ found }) => found.case === "episode" && found.value.text);
      expect(texts).toContain(`question ${number} about a parcel`);
    }
    expect((await mesh.recall({ ...query, exceptSessionId: "s1" })).hits).toEqual([]);
  });
});
