import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { testIdentity } from "@soldier/chassis/testing";
import { newId } from "@soldier/kernel/ids";
import { EpisodeRole, IngestionStatus } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import {
  type Backend,
  describeOn,
  type TestDatabase,
  testDatabase,
} from "@soldier/storage/testing";
import { expect, it, vi } from "vitest";
import { runMemory } from "../testing/run-memory.ts";

// The service is started three times, beside all other tests.
vi.setConfig({ testTimeout: 60_000 });

const wait = { timeout: 30_000, interval: 25 };
const letters = (dimensions: number) => ({ provider: "deterministic", dimensions });

/** Without the stages that this is not about. */
const settings = { embed_poll_ms: 20, summaries: "off", extraction: "off" };

/** One database for several releases of the service, one after the other. */
function kept(database: TestDatabase): Backend<TestDatabase> {
  const open = async () => ({ ...database, [Symbol.asyncDispose]: async () => {} });
  return { name: "kept", missing: undefined, open };
}

describeOn("another embedding model", testDatabase(), (backend) => {
  it("is got ready beside the one in force, which answers until all its vectors are there", async () => {
    await using database = await backend.open();
    const tenantId = newId();
    const run = async (embedder: object, next: object) => {
      const running = await runMemory({
        database: kept(database),
        embedder: { ...embedder },
        tables: { next_embedder: { ...next } },
        memory: settings,
      });
      const memories = running.mesh.as(testIdentity({ tenantId }))(MemoryService);
      const say = async (text: string) => {
        const { episode } = await memories.addEpisode({
          episode: {
            groupId: "g",
            customerId: "g",
            ingestKey: text,
            role: EpisodeRole.USER,
            text,
            occurredAt: timestampFromDate(new Date("2026-03-02T10:00:00Z")),
          },
        });
        return episode?.id ?? "";
      };
      const stages = async (episodeId: string) => {
        const { episode } = await memories.getEpisode({ episodeId });
        return (episode?.stages ?? []).flatMap(({ name, status }) =>
          status === IngestionStatus.DONE ? [] : [name],
        );
      };
      /** By meaning, of each that is found. */
      const scores = async () => {
        const { hits } = await memories.search({ query: "lamp parcel", groupIds: ["g"] });
        return Object.fromEntries(
          hits.map(({ found, scoreParts }) => [
            found.case === "episode" ? found.value.text : "",
            scoreParts["vector"] ?? 0,
          ]),
        );
      };
      return { running, memories, say, stages, scores };
    };
    const [old, next] = [letters(64), letters(32)];
    const texts = ["The lamp of my parcel is broken.", "Where is my parcel with the lamp?"];

    const before = await run(old, {});
    for (const text of texts) {
      const id = await before.say(text);
      await vi.waitFor(async () => expect(await before.stages(id)).toEqual([]), wait);
    }
    const byOld = await before.scores();
    expect(Object.values(byOld).every((score) => score > 0)).toBe(true);
    await before.running[Symbol.asyncDispose]();

    const between = await run(old, next);
    expect(await between.scores()).toEqual(byOld);
    expect(await between.memories.reprocessEpisodes({ stage: "embedded" })).toMatchObject({
      entered: 2n,
    });
    const third = await between.say("My lamp came with another parcel.");
    const { episodes } = await between.memories.listEpisodes({ groupId: "g" });
    for (const { id } of episodes)
      await vi.waitFor(async () => expect(await between.stages(id)).toEqual([]), wait);
    expect(await between.memories.reprocessEpisodes({ stage: "embedded" })).toMatchObject({
      entered: 0n,
    });
    expect(await between.scores()).toMatchObject(byOld);
    expect((await between.stages(third)).length).toBe(0);
    await between.running[Symbol.asyncDispose]();

    await using opened = new AsyncDisposableStack();
    const after = await run(next, {});
    opened.use(after.running);
    const byNext = await after.scores();
    expect(Object.keys(byNext)).toHaveLength(3);
    expect(Object.values(byNext).every((score) => score > 0)).toBe(true);
    for (const text of texts) expect(byNext[text]).not.toBe(byOld[text]);
  });

  it("is refused when it is the one in force already", async () => {
    const running = runMemory({
      database: backend,
      embedder: letters(64),
      tables: { next_embedder: letters(64) },
      memory: settings,
    });
    await expect(running).rejects.toMatchObject({ reason: "EMBEDDER_SETTINGS" });
  });
});
