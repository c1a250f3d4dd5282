import { deterministicEmbedder } from "@soldier/ai/deterministic";
import { inboxMigrations } from "@soldier/events/inbox";
import { newId } from "@soldier/kernel/ids";
import { describeOn, type TestPostgres, testPostgres } from "@soldier/storage/testing";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Summary } from "../domain/summary.ts";
import { newEpisode } from "../store/episode-store.contract.ts";
import type { EpisodeStore } from "../store/episode-store.ts";
import type { ErasureStore } from "../store/erasure-store.ts";
import { postgresErasureStore } from "../store/postgres-erasures.ts";
import { postgresSummaryBacklog, postgresSummaryStore } from "../store/postgres-summaries.ts";
import { postgresEpisodeStore } from "../store/postgres.ts";
import type { SummaryStore } from "../store/summary-store.ts";
import { byExtraction } from "./summarise.ts";
import { summariseGroups } from "./summarise-groups.ts";

const backends = testPostgres([new URL("../../migrations/", import.meta.url), inboxMigrations]);
const signal = new AbortController().signal;

describeOn("summaries", backends, (backend) => {
  let opened: TestPostgres & AsyncDisposable;
  let episodes: EpisodeStore;
  let summaries: SummaryStore;
  let erasures: ErasureStore;
  beforeAll(async () => {
    opened = await backend.open();
    episodes = postgresEpisodeStore(opened.sql, ["summarised"]);
    summaries = postgresSummaryStore(opened.sql);
    erasures = postgresErasureStore(opened.sql);
  });
  afterAll(() => opened[Symbol.asyncDispose]());

  const turn = (number: number) => {
    const occurredAt = new Date(Date.UTC(2026, 0, 1, 0, number));
    const one = { groupId: "g", turnId: newId(), sessionId: "s", occurredAt };
    const said = newEpisode({ ...one, text: `Order ${number} is late.` });
    return [said, newEpisode({ ...one, role: "agent", text: `Order ${number} comes soon.` })];
  };
  const say = async (acme: string, from: number, to: number) => {
    const all = Array.from({ length: to - from + 1 }, (_, i) => turn(from + i)).flat();
    await episodes.add(acme, all);
    return all.map(({ id }) => id);
  };
  /** All that is due, as the worker does it. */
  const work = async (also: () => Promise<void> = async () => {}) => {
    const backlog = postgresSummaryBacklog(opened.sql);
    const own = summariseGroups(summaries, deterministicEmbedder(16), async (...given) => {
      await also();
      return byExtraction(...given);
    });
    for (let taken = 1; taken > 0;)
      taken = (await backlog.next(64, 60_000, (due) => own(due, signal))).length;
  };
  const made = async (acme: string) => (await summaries.list(acme, "g", 500, undefined)).items;
  const erase = async (acme: string, episodeId: string) => {
    const about = { customerIds: [], sessionId: "", turnId: "", role: "" };
    const scope = { kind: "episode", episodeId } as const;
    const erasure = await erasures.begin(acme, scope, about, "op", 0);
    const { counts } = await erasures.eraseGroup(erasure, "g", true);
    expect(await erasures.leftovers(erasure)).toBe(0);
    await erasures.finish(erasure);
    return counts;
  };
  const level = (all: readonly Summary[], wanted: 1 | 2) =>
    all.filter(({ level: of }) => of === wanted);

  it("stand for every twenty turns, and are told with their inputs", async () => {
    const acme = newId();
    const [early = ""] = await say(acme, 1, 19);
    await work();
    expect(await made(acme)).toEqual([]);
    const stages = async () => (await episodes.get(acme, early))?.stages;
    expect(await stages()).toContainEqual(
      expect.objectContaining({ name: "summarised", status: "waiting" }),
    );
    const ids = [...(await say(acme, 20, 45))];
    await work();
    const all = await made(acme);
    expect(all).toHaveLength(2);
    expect(all).toMatchObject([
      { level: 1, turns: 20, madeBy: "extractive:v1" },
      { level: 1, turns: 20, coversFrom: new Date(Date.UTC(2026, 0, 1, 0, 1)) },
    ]);
    expect(all.every(({ inputIds }) => inputIds.length === 40)).toBe(true);
    expect(new Set(all.flatMap(({ inputIds }) => inputIds)).size).toBe(80);
    const [first = ""] = ids;
    expect((await episodes.get(acme, first))?.stages).toContainEqual(
      expect.objectContaining({ name: "summarised", status: "done" }),
    );
  });

  it("are summed up themselves from the hundredth turn on", async () => {
    const acme = newId();
    await say(acme, 1, 99);
    await work();
    expect(level(await made(acme), 2)).toEqual([]);
    await say(acme, 100, 100);
    await work();
    const all = await made(acme);
    const [top] = level(all, 2);
    expect(top?.inputIds.toSorted()).toEqual(
      level(all, 1)
        .map(({ id }) => id)
        .toSorted(),
    );
    expect(top?.turns).toBe(100);
  });

  it("are withdrawn with an input, whatever rests on them too, and made anew from what is left", async () => {
    const acme = newId();
    const [gone = ""] = await say(acme, 1, 100);
    await work();
    const before = await made(acme);
    const counts = await erase(acme, gone);
    expect(counts).toMatchObject({ episodes: 1, summaries: 2 });
    const stale = await made(acme);
    expect(level(stale, 1)).toHaveLength(4);
    expect(level(stale, 2)).toEqual([]);
    await work();
    const after = await made(acme);
    expect(level(after, 1)).toHaveLength(5);
    expect(level(after, 2)).toHaveLength(1);
    expect(after.flatMap(({ inputIds }) => inputIds)).not.toContain(gone);
    const same = before.filter(({ id }) => after.some((one) => one.id === id));
    expect(same).toHaveLength(4);
  });

  it("are made anew when an input is erased while they are made", async () => {
    const acme = newId();
    const [gone = ""] = await say(acme, 1, 20);
    let first = true;
    await work(async () => {
      if (first) await erase(acme, gone);
      first = false;
    });
    const all = await made(acme);
    expect(all).toHaveLength(1);
    expect(all[0]?.inputIds).toHaveLength(39);
    expect(all[0]?.inputIds).not.toContain(gone);
  });

  it("rest on what is there, and on all of it once, whatever is said and erased (P16)", async () => {
    const step = fc.oneof(
      { weight: 2, arbitrary: fc.record({ say: fc.integer({ min: 1, max: 45 }) }) },
      { weight: 3, arbitrary: fc.record({ erase: fc.nat() }) },
      { weight: 2, arbitrary: fc.record({ work: fc.constant(true) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 9 }), async (steps) => {
        const acme = newId();
        const alive: string[] = [];
        let turns = 0;
        for (const one of steps)
          if ("say" in one) {
            alive.push(...(await say(acme, turns + 1, turns + one.say)));
            turns += one.say;
          } else if ("work" in one) await work();
          else {
            const [gone] = alive.splice(one.erase % Math.max(1, alive.length), 1);
            if (gone) await erase(acme, gone);
          }
        await work();
        const all = await made(acme);
        const there = new Set([...alive, ...all.map(({ id }) => id)]);
        const inputs = all.flatMap(({ inputIds }) => inputIds);
        expect(inputs.filter((id) => !there.has(id))).toEqual([]);
        expect(new Set(inputs).size).toBe(inputs.length);
        const waiting = alive.filter((id) => !inputs.includes(id));
        expect(waiting.length).toBeLessThan(40);
      }),
      { numRuns: 15 },
    );
  });
});
