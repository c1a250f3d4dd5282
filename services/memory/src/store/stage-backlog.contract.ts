import { newId } from "@soldier/kernel/ids";
import { expect, it } from "vitest";
import { type EpisodeStores, newEpisode } from "./episode-store.contract.ts";
import type { DueEpisode, StageOutcome } from "./stage-backlog.ts";

const holdMs = 60_000;
const vector = (n: number) => Float32Array.of(n, 0.5, -0.25);

type Outcomes = readonly StageOutcome<Float32Array>[];

/** What every StageBacklog must do. It is of all tenants: each test needs a place of its own. */
export function stageBacklogContract(stores: () => EpisodeStores): void {
  const backlog = () => stores().backlog;
  const embedAll = async (due: readonly DueEpisode[]): Promise<Outcomes> =>
    due.map((_, i) => ({ kind: "done", value: vector(i) }));
  const failAll =
    (retryAfterMs: number) =>
    async (due: readonly DueEpisode[]): Promise<Outcomes> =>
      due.map(() => ({ kind: "failed", reason: "EMBEDDER_UNAVAILABLE", retryAfterMs }));

  it("gives what was stored, once it was embedded never again", async () => {
    const acme = newId();
    const episode = newEpisode();
    await stores().episodes.add(acme, [episode]);
    const given = await backlog().next(10, holdMs, embedAll);
    expect(given.map((one) => one.episode.id)).toEqual([episode.id]);
    expect(await backlog().next(10, holdMs, embedAll)).toEqual([]);
    expect((await stores().episodes.get(acme, episode.id))?.stages[1]).toEqual({
      name: "embedded",
      status: "done",
      attempts: 1,
      failed: "",
    });
  });
  it("makes the vector news of its group, for its model alone", async () => {
    const acme = newId();
    const episode = newEpisode();
    await stores().episodes.add(acme, [episode]);
    await backlog().next(10, holdMs, embedAll);
    const known = [{ groupId: "ana", revision: 1 }];
    const [news] = await stores().episodes.news(acme, "m", known);
    expect(news?.changes).toEqual([
      { kind: "vector", revision: 2, episodeId: episode.id, vector: vector(0) },
    ]);
    const [others] = await stores().episodes.news(acme, "another model", known);
    expect(others).toMatchObject({ revision: 2, changes: [] });
  });
  it("gives no more than asked for, the longest due first", async () => {
    const acme = newId();
    const given = [newEpisode(), newEpisode(), newEpisode()];
    for (const episode of given) await stores().episodes.add(acme, [episode]);
    const due = await backlog().next(2, holdMs, embedAll);
    expect(due.map((one) => one.episode.id)).toEqual(given.slice(0, 2).map(({ id }) => id));
  });
  it("keeps a failure with the episode, and gives it again when it is due", async () => {
    const acme = newId();
    const [now, later] = [newEpisode(), newEpisode()];
    await stores().episodes.add(acme, [now]);
    await backlog().next(10, holdMs, failAll(0));
    await stores().episodes.add(acme, [later]);
    expect(await backlog().count()).toMatchObject({ waiting: 2, failed: 1, parked: 0 });
    expect((await stores().episodes.get(acme, now.id))?.stages[1]).toEqual({
      name: "embedded",
      status: "failed",
      attempts: 1,
      failed: "EMBEDDER_UNAVAILABLE",
    });
    const again = await backlog().next(10, holdMs, embedAll);
    expect(again.map(({ attempts }) => attempts).toSorted((a, b) => a - b)).toEqual([0, 1]);
    expect((await stores().episodes.get(acme, now.id))?.stages[1]?.attempts).toBe(2);
  });
  it("does not give what is not due yet", async () => {
    await stores().episodes.add(newId(), [newEpisode()]);
    await backlog().next(10, holdMs, failAll(3_600_000));
    expect(await backlog().next(10, holdMs, embedAll)).toEqual([]);
    expect(await backlog().count()).toMatchObject({ failed: 1 });
  });
  it("leaves everything as it was when the work rejects", async () => {
    const acme = newId();
    const episode = newEpisode();
    await stores().episodes.add(acme, [episode]);
    const crash = () => Promise.reject(new Error("stopped"));
    await expect(backlog().next(10, holdMs, crash)).rejects.toThrow("stopped");
    const [given] = await backlog().next(10, holdMs, embedAll);
    expect(given).toMatchObject({ attempts: 0, episode: { id: episode.id } });
  });
  it("gives it again, without counting a try, when it was not ready", async () => {
    const acme = newId();
    const episode = newEpisode();
    await stores().episodes.add(acme, [episode]);
    await backlog().next(10, holdMs, async () => [{ kind: "waits", forMs: 0 }]);
    expect((await stores().episodes.get(acme, episode.id))?.stages[1]).toEqual({
      name: "embedded",
      status: "pending",
      attempts: 0,
      failed: "",
    });
    expect(await backlog().next(10, holdMs, embedAll)).toHaveLength(1);
  });
  it("gives it again when a worker that died has held it for long enough, and keeps one result", async () => {
    const acme = newId();
    const episode = newEpisode();
    await stores().episodes.add(acme, [episode]);
    const [held, started] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slow = backlog().next(1, 0, async (due) => {
      started.resolve();
      await held.promise;
      return embedAll(due);
    });
    await started.promise;
    expect(await backlog().next(10, holdMs, embedAll)).toHaveLength(1);
    held.resolve();
    await slow; // not dead after all: too late
    const [news] = await stores().episodes.news(acme, "m", [{ groupId: "ana", revision: 0 }]);
    expect(news?.revision).toBe(2);
  });
  it("gives an episode to one of many workers at once", async () => {
    const acme = newId();
    for (let i = 0; i < 12; i++) await stores().episodes.add(acme, [newEpisode()]);
    const given = await Promise.all(
      Array.from({ length: 3 }, () => backlog().next(4, holdMs, embedAll)),
    );
    const ids = given.flat().map(({ episode }) => episode.id);
    expect(new Set(ids).size).toBe(ids.length);
  });
  it("does not wait for a worker that holds others", async () => {
    const acme = newId();
    await stores().episodes.add(acme, [newEpisode(), newEpisode()]);
    const held = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const slow = backlog().next(1, holdMs, async (due) => {
      started.resolve();
      await held.promise;
      return embedAll(due);
    });
    await started.promise;
    expect(await backlog().next(10, holdMs, embedAll)).toHaveLength(1);
    await stores().episodes.add(acme, [newEpisode()]); // nor does storing
    held.resolve();
    expect(await slow).toHaveLength(1);
  });
  it("counts nothing when everything is done", async () => {
    await stores().episodes.add(newId(), [newEpisode()]);
    await backlog().next(10, holdMs, embedAll);
    expect(await backlog().count()).toEqual({ waiting: 0, failed: 0, parked: 0, lateMs: 0 });
  });
}
