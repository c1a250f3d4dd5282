import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { testIdentity } from "@soldier/chassis/testing";
import { EpisodeRole } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type MemoryUnderTest, runMemory } from "../testing/run-memory.ts";

const at = (day: string) => timestampFromDate(new Date(`${day}T00:00:00Z`));

describeOn("summaries that operators bring", testDatabase(), (database) => {
  let running: MemoryUnderTest;
  beforeAll(async () => {
    running = await runMemory({ database });
  });
  afterAll(() => running[Symbol.asyncDispose]());

  const client = () => running.mesh.as(testIdentity())(MemoryService);

  it("rest on inputs that are there, each of which is summed up once", async () => {
    const memory = client();
    const inputIds: string[] = [];
    for (const i of [1, 2]) {
      const { episode } = await memory.addEpisode({
        episode: {
          ingestKey: `k${i}`,
          groupId: "g",
          customerId: "g",
          role: EpisodeRole.USER,
          text: `text ${i}`,
          occurredAt: at(`2025-01-0${i}`),
        },
      });
      inputIds.push(episode?.id ?? "");
    }
    const add = (over: object = {}) =>
      memory.addSummary({ summary: { groupId: "g", text: "two texts", inputIds, ...over } });
    const { summary } = await add();
    expect(summary).toMatchObject({ level: 1, turns: 2, madeBy: "operator", inputIds });
    expect(summary?.coversTo).toEqual(at("2025-01-02"));
    expect((await add({ inputIds: inputIds.toReversed() })).summary?.id).toBe(summary?.id);
    await expect(add({ text: "another" })).rejects.toMatchObject({
      reason: "SUMMARY_INPUTS_TAKEN",
    });
    await expect(add({ groupId: "h" })).rejects.toMatchObject({ reason: "SUMMARY_INVALID" });
    await expect(add({ inputIds: [] })).rejects.toMatchObject({ reason: "SUMMARY_INVALID" });
    const above = await add({ text: "above", inputIds: [summary?.id ?? ""] });
    expect(above.summary).toMatchObject({ level: 2, turns: 2 });
  });
});
