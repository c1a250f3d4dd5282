import { setTimeout as delay } from "node:timers/promises";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { testIdentity } from "@soldier/chassis/testing";
import { EpisodeRole } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type MemoryUnderTest, runMemory } from "./testing/run-memory.ts";

/** Longest that a call may take: longer than a busy machine is silent, shorter than the import. */
const maxMs = 2_000;

describeOn("an import by AddEpisodes", testDatabase(), (database) => {
  let running: MemoryUnderTest;
  beforeAll(async () => {
    running = await runMemory({
      database,
      tables: { server: { max_deadline_ms: maxMs } },
      memory: { extraction: "off", summaries: "off" },
    });
  });
  afterAll(() => running[Symbol.asyncDispose]());

  const client = () => running.mesh.as(testIdentity({ roles: ["operator"] }))(MemoryService);
  const episode = (groupId: string, i: number) => ({
    groupId,
    customerId: groupId,
    ingestKey: `${groupId}:${i}`,
    role: EpisodeRole.USER,
    text: `message ${i}`,
    occurredAt: timestampFromDate(new Date("2026-03-01T10:00:00Z")),
  });

  it("goes on as long as something comes, however long that is", async () => {
    const memory = client();
    const beganMs = performance.now();
    async function* requests() {
      for (let i = 0; performance.now() - beganMs < 2 * maxMs; i++) {
        yield { episode: episode("slow", i) };
        await delay(100);
      }
    }
    let added = 0;
    for await (const answer of memory.addEpisodes(requests())) added += Number(answer.added);
    expect(performance.now() - beganMs).toBeGreaterThan(2 * maxMs);
    expect(added).toBeGreaterThan(5);
  }, 30_000);

  it("ends when nothing comes, and what is sent again goes on behind what is there", async () => {
    const memory = client();
    const silence = new AbortController();
    async function* requests() {
      for (let i = 0; i < 3; i++) yield { episode: episode("cut", i) };
      await delay(60_000, undefined, { signal: silence.signal }).catch(() => undefined);
    }
    const answers: string[] = [];
    const read = async () => {
      for await (const { ingestKey } of memory.addEpisodes(requests())) answers.push(ingestKey);
    };
    await expect(read()).rejects.toMatchObject({ kind: "deadline", reason: "STREAM_SILENT" });
    silence.abort();
    expect(answers).toEqual(["cut:0", "cut:1", "cut:2"]);
    const added: boolean[] = [];
    async function* again() {
      for (let i = 0; i < 5; i++) yield { episode: episode("cut", i) };
    }
    for await (const answer of memory.addEpisodes(again())) added.push(answer.added);
    expect(added).toEqual([false, false, false, true, true]);
  }, 30_000);

  it("has no more time than its caller states", async () => {
    const memory = client();
    async function* requests() {
      for (let i = 0; ; i++) {
        yield { episode: episode("stated", i) };
        await delay(50);
      }
    }
    const read = async () => {
      for await (const answer of memory.addEpisodes(requests(), { timeoutMs: 500 })) void answer;
    };
    await expect(read()).rejects.toMatchObject({ kind: "deadline" });
  }, 30_000);
});
