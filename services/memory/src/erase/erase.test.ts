import { inboxMigrations } from "@soldier/events/inbox";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { silentLog } from "@soldier/kernel/log";
import { describeOn, type TestPostgres, testPostgres } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { newEpisode } from "../store/episode-store.contract.ts";
import type { EpisodeStore } from "../store/episode-store.ts";
import type { ErasureStore } from "../store/erasure-store.ts";
import { postgresErasureStore } from "../store/postgres-erasures.ts";
import { postgresEpisodeStore } from "../store/postgres.ts";
import { type Elsewhere, eraser } from "./erase.ts";

const backends = testPostgres([new URL("../../migrations/", import.meta.url), inboxMigrations]);

/** The other services, which do each thing once and can be away. */
function others() {
  const asked: string[] = [];
  const away = new Set<string>();
  let pending = 0;
  const once = (what: string) => {
    if (away.delete(what)) throw new Fault("unavailable", "away", { reason: "AWAY" });
    const first = !asked.includes(what);
    asked.push(what);
    return { [what]: first ? 1 : 0 };
  };
  const elsewhere: Elsewhere = {
    customerIds: async (_, customerId) => [customerId, "old-ana"],
    profile: async (_, dryRun) => (dryRun ? { profile: 1 } : once("profile")),
    sessions: async (_, dryRun) => ({ counts: dryRun ? {} : once("sessions"), pending: 0 }),
    audit: async (_, dryRun) => (dryRun ? {} : once("audit")),
    events: async () => ({ counts: once("events"), pending: pending > 0 ? pending-- : 0 }),
  };
  return { elsewhere, asked, away, wait: (times: number) => void (pending = times) };
}

describeOn("an eraser", backends, (backend) => {
  let opened: TestPostgres & AsyncDisposable;
  let store: ErasureStore;
  let episodes: EpisodeStore;
  beforeAll(async () => {
    opened = await backend.open();
    store = postgresErasureStore(opened.sql);
    episodes = postgresEpisodeStore(opened.sql);
  });
  afterAll(() => opened[Symbol.asyncDispose]());

  const scope = { kind: "customer", customerId: "ana" } as const;
  const said = async (groups = ["ana", "old-ana"]) => {
    const acme = newId();
    for (const groupId of groups)
      await episodes.add(acme, [newEpisode({ groupId, customerId: groupId })]);
    return { tenantId: acme, askedBy: "olga" };
  };
  const quiet = { finds: async () => false, log: silentLog };

  it("goes through every step, in order, and gives a certificate", async () => {
    const asked = await said();
    const { elsewhere, asked: order } = others();
    const erasure = await eraser({ store, elsewhere, ...quiet }).erase(asked, scope);
    expect(order).toEqual(["profile", "sessions", "audit", "events"]);
    expect(erasure).toMatchObject({
      done: ["memory", "profile", "sessions", "audit", "events", "verified"],
      counts: { episodes: 2, profile: 1, sessions: 1, audit: 1, events: 1 },
      probes: 2,
      finishedAt: expect.any(Date),
    });
  });

  it.each(["profile", "sessions", "audit", "events"])(
    "comes to the same when it was cut short before %s and is gone on with (P14)",
    async (step) => {
      const asked = await said();
      const { elsewhere, away } = others();
      away.add(step);
      const one = eraser({ store, elsewhere, ...quiet });
      const cut = await one.erase(asked, scope);
      expect(cut).toMatchObject({ finishedAt: undefined, failed: "AWAY", attempts: 1 });
      const again = await eraser({ store, elsewhere, ...quiet }).erase(asked, scope);
      expect(again).toMatchObject({
        id: cut?.id,
        counts: { episodes: 2, profile: 1, sessions: 1, audit: 1, events: 1 },
        failed: "",
        finishedAt: expect.any(Date),
      });
    },
  );

  it("goes on after a crash in the middle of memory's own part", async () => {
    const asked = await said();
    const { elsewhere } = others();
    let groups = 0;
    const dying: ErasureStore = {
      ...store,
      eraseGroup: (...args) => {
        if (++groups === 2) throw new Error("the process has died");
        return store.eraseGroup(...args);
      },
    };
    const cut = await eraser({ store: dying, elsewhere, ...quiet }).erase(asked, scope);
    expect(cut).toMatchObject({ done: [], counts: { episodes: 1 } });
    const again = await eraser({ store, elsewhere, ...quiet }).erase(asked, scope);
    expect(again).toMatchObject({ counts: { episodes: 2 }, finishedAt: expect.any(Date) });
  });

  it("waits for those who have not taken its events yet", async () => {
    const asked = await said();
    const { elsewhere, wait } = others();
    wait(1);
    const one = eraser({ store, elsewhere, ...quiet });
    expect(await one.erase(asked, scope)).toMatchObject({ failed: "ERASURE_PENDING" });
    expect(await one.erase(asked, scope)).toMatchObject({ finishedAt: expect.any(Date) });
  });

  it("gives no certificate while a search still finds what was erased", async () => {
    const asked = await said();
    const { elsewhere } = others();
    const finds = async () => true;
    const erasure = await eraser({ store, elsewhere, log: silentLog, finds }).erase(asked, scope);
    expect(erasure).toMatchObject({ finishedAt: undefined, failed: "ERASURE_INCOMPLETE" });
  });

  it("counts what it would erase, and asks the others to count", async () => {
    const asked = await said();
    const { elsewhere, asked: order } = others();
    const one = eraser({ store, elsewhere, ...quiet });
    expect(await one.count(asked, scope)).toEqual({ episodes: 2, profile: 1 });
    expect(order).toEqual([]);
    expect(await one.erase(asked, scope)).toMatchObject({ counts: { episodes: 2 } });
  });

  it("knows nothing of an episode that is not there", async () => {
    const asked = await said();
    const { elsewhere } = others();
    const one = eraser({ store, elsewhere, ...quiet });
    expect(await one.erase(asked, { kind: "episode", episodeId: newId() })).toBeUndefined();
  });
});
