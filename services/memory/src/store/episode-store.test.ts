import { setTimeout as pause } from "node:timers/promises";
import { inboxMigrations } from "@soldier/events/inbox";
import { newId } from "@soldier/kernel/ids";
import {
  type Backend,
  describeOn,
  type TestPostgres,
  testPostgres,
} from "@soldier/storage/testing";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { type EpisodeStores, episodeStoreContract, newEpisode } from "./episode-store.contract.ts";
import { keepExtractions } from "./keep-extractions.ts";
import { keepVectors } from "./keep-vectors.ts";
import { postgresResolutions } from "./postgres-resolutions.ts";
import { postgresStage } from "./postgres-stages.ts";
import { postgresEpisodeStore } from "./postgres.ts";
import type { DueEpisode } from "./stage-backlog.ts";
import { stageBacklogContract } from "./stage-backlog.contract.ts";

const backends = testPostgres([new URL("../../migrations/", import.meta.url), inboxMigrations]);

describeOn("the episode store", backends, (backend) => {
  let opened: EpisodeStores & AsyncDisposable;
  beforeAll(async () => {
    opened = await open(backend);
  });
  afterAll(() => opened[Symbol.asyncDispose]());
  episodeStoreContract(() => opened);

  it("gives an episode whose role only a newer release knows, as it is", async () => {
    await using place = await backend.open();
    const { sql, owner } = place;
    const store = postgresEpisodeStore(sql);
    const episode = newEpisode();
    await store.add("acme", [episode]);
    // As that release's migration would.
    await owner`alter table episodes drop constraint episodes_role_check`;
    await owner`update episodes set role = 'observer'`;
    expect((await store.get("acme", episode.id))?.episode).toMatchObject({ role: "observer" });
    const listed = await store.list("acme", "ana", 5, undefined);
    expect(listed.episodes).toMatchObject([{ episode: { id: episode.id, role: "observer" } }]);
  });
});

describeOn("the backlog of a stage", backends, (backend) => {
  let opened: EpisodeStores & AsyncDisposable;
  beforeEach(async () => {
    opened = await open(backend);
  });
  afterEach(() => opened[Symbol.asyncDispose]());
  stageBacklogContract(() => opened);

  it("gives what passes the stage again after what is new, however long it has waited", async () => {
    await using place = await backend.open();
    const { sql } = place;
    const store = postgresEpisodeStore(sql, ["extracted"]);
    const backlog = postgresStage(sql, "extracted", keepExtractions);
    const done = async (due: readonly DueEpisode[]) =>
      due.map(() => ({ kind: "done", value: { extractor: "x", findings: [] } }) as const);
    const [acme, old, fresh] = [newId(), newEpisode(), newEpisode()];
    await store.add(acme, [old]);
    await backlog.next(10, 60_000, done);
    expect(await postgresResolutions(sql).reprocess(acme, "extracted", undefined)).toBe(1);
    await store.add(acme, [fresh]);
    await pause(20);
    expect((await backlog.count()).lateMs).toBeLessThan(10_000);
    const [first] = await backlog.next(1, 60_000, done);
    expect(first?.episode.id).toBe(fresh.id);
    expect(first?.lateMs).toBeGreaterThanOrEqual(15);
    expect((await backlog.count()).lateMs).toBe(0);
    const [second] = await backlog.next(1, 60_000, done);
    expect(second).toMatchObject({ episode: { id: old.id }, lateMs: 0 });
  });
});

async function open(backend: Backend<TestPostgres>): Promise<EpisodeStores & AsyncDisposable> {
  const opened = await backend.open();
  return {
    episodes: postgresEpisodeStore(opened.sql),
    backlog: postgresStage(opened.sql, "embedded", keepVectors("m")),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
