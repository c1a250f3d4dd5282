import { describe, expect, it } from "vitest";
import type { EpisodeStore, GroupChange, GroupNews, KnownGroup } from "../store/episode-store.ts";
import { groupCache } from "./group-cache.ts";

type News = EpisodeStore["news"];

/** Groups with so many episodes each, and what was asked of them. */
function storeOf(groups: ReadonlyMap<string, number>) {
  const asked: KnownGroup[][] = [];
  const news: News = async (tenantId, _model, known) => {
    asked.push([...known]);
    return known.flatMap(({ groupId, revision }): GroupNews[] => {
      const head = groups.get(groupId) ?? 0;
      if (head <= revision) return [];
      const changes = Array.from({ length: head - revision }, (_, i): GroupChange => {
        const number = revision + i + 1;
        const id = `${groupId}-${number}`;
        const at = new Date(number);
        const who = { tenantId, groupId, customerId: groupId, agentId: "", sessionId: "" };
        const what = { turnId: "", ingestKey: id, role: "user" as const, text: `parcel ${number}` };
        const episode = { ...who, ...what, id, occurredAt: at, recordedAt: at, revision: number };
        return { kind: "episode", revision: number, episode };
      });
      return [{ groupId, revision: head, changes }];
    });
  };
  return { asked, news };
}

const embedder = { model: "m", dimensions: 4 };

describe("the cache of groups", () => {
  it("reads a group once, and after that only what is new", async () => {
    const groups = new Map([["ana", 3]]);
    const store = storeOf(groups);
    const cache = groupCache({ store, embedder, bytesMax: 1e7 });
    expect((await cache.fresh("acme", ["ana"]))[0]?.episodes).toHaveLength(3);
    groups.set("ana", 5);
    expect((await cache.fresh("acme", ["ana"]))[0]?.episodes).toHaveLength(5);
    await cache.fresh("acme", ["ana"]);
    expect(store.asked.map(([known]) => known?.revision)).toEqual([0, 3, 5]);
  });
  it("leaves out groups that nobody has", async () => {
    const cache = groupCache({ store: storeOf(new Map()), embedder, bytesMax: 1e7 });
    expect(await cache.fresh("acme", ["nobody"])).toEqual([]);
  });
  it("gives each group once", async () => {
    const cache = groupCache({ store: storeOf(new Map([["ana", 1]])), embedder, bytesMax: 1e7 });
    expect(await cache.fresh("acme", ["ana", "ana"])).toHaveLength(1);
  });
  it("keeps tenants apart", async () => {
    const store = storeOf(new Map([["ana", 1]]));
    const cache = groupCache({ store, embedder, bytesMax: 1e7 });
    await cache.fresh("acme", ["ana"]);
    const [group] = await cache.fresh("globex", ["ana"]);
    expect(group?.episodes[0]?.tenantId).toBe("globex");
  });
  it("reads a group once for a burst that asks while it is being read", async () => {
    const store = storeOf(new Map([["ana", 1_000]]));
    const cache = groupCache({ store, embedder, bytesMax: 1e7 });
    const burst = await Promise.all(Array.from({ length: 8 }, () => cache.fresh("acme", ["ana"])));
    expect(new Set(burst.flat()).size).toBe(1);
    const fromTheStart = store.asked.filter(([known]) => known?.revision === 0);
    expect(fromTheStart).toHaveLength(1);
  });
  it("tells a failure to the one that read, and lets the others try", async () => {
    const store = storeOf(new Map([["ana", 1]]));
    let failures = 1;
    const news: News = async (...args) => {
      if (failures-- > 0) throw new Error("gone");
      return store.news(...args);
    };
    const cache = groupCache({ store: { news }, embedder, bytesMax: 1e7 });
    const [first, second] = await Promise.allSettled([
      cache.fresh("acme", ["ana"]),
      cache.fresh("acme", ["ana"]),
    ]);
    expect(first.status).toBe("rejected");
    expect(second.status).toBe("fulfilled");
  });
  it("lets the groups go that were not used for longest", async () => {
    const store = storeOf(new Map(["ana", "ben", "eve"].map((id) => [id, 100])));
    const cache = groupCache({ store, embedder, bytesMax: 220_000 });
    for (const id of ["ana", "ben", "eve", "eve", "ana"]) await cache.fresh("acme", [id]);
    expect(store.asked.map(([known]) => known?.revision)).toEqual([0, 0, 0, 100, 0]);
  });
  it("answers from a group that is larger than the room", async () => {
    const store = storeOf(new Map([["ana", 100]]));
    const cache = groupCache({ store, embedder, bytesMax: 1_000 });
    expect((await cache.fresh("acme", ["ana"]))[0]?.episodes).toHaveLength(100);
  });
});
