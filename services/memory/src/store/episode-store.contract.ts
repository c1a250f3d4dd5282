import { newId } from "@soldier/kernel/ids";
import { describe, expect, it } from "vitest";
import type { NewEpisode } from "../domain/episode.ts";
import type { EpisodeStore } from "./episode-store.ts";
import type { StageBacklog } from "./stage-backlog.ts";

export interface EpisodeStores {
  readonly episodes: EpisodeStore;
  /** Of vectors of the model "m". */
  readonly backlog: StageBacklog<Float32Array>;
}

export const newEpisode = (over: Partial<NewEpisode> = {}): NewEpisode => ({
  id: newId(),
  groupId: "ana",
  customerId: "ana",
  agentId: "",
  sessionId: "",
  turnId: "",
  ingestKey: newId(),
  role: "user",
  text: "my parcel has not come",
  occurredAt: new Date("2026-03-01T10:00:00.123Z"),
  ...over,
});

/** What every EpisodeStore must do. A line here is a promise to the rest of Soldier. */
export function episodeStoreContract(stores: () => EpisodeStores): void {
  const store = () => stores().episodes;
  const tenant = () => newId();

  describe("add", () => {
    it("stores an episode as it was given", async () => {
      const acme = tenant();
      const episode = newEpisode({ sessionId: "s1", turnId: "t1", agentId: "desk", role: "agent" });
      const [added] = await store().add(acme, [episode]);
      expect(added).toMatchObject({ added: true, episode: { ...episode, tenantId: acme } });
      expect((await store().get(acme, episode.id))?.episode).toEqual(added?.episode);
    });
    it("takes the same ingest key as the same episode, and keeps the first", async () => {
      const acme = tenant();
      const first = newEpisode({ ingestKey: "k" });
      await store().add(acme, [first]);
      const second = newEpisode({ ingestKey: "k", text: "something else" });
      const [again] = await store().add(acme, [second]);
      expect(again).toMatchObject({ added: false, episode: { id: first.id, text: first.text } });
      expect(await store().get(acme, second.id)).toBeUndefined();
    });
    it("stores the first of two with the same key in one call", async () => {
      const acme = tenant();
      const given = [newEpisode({ ingestKey: "k" }), newEpisode({ ingestKey: "k" })];
      const added = await store().add(acme, given);
      expect(added.map((one) => one.added)).toEqual([true, false]);
      expect(added.map(({ episode }) => episode.id)).toEqual([given[0]?.id, given[0]?.id]);
    });
    it("lets tenants use the same key", async () => {
      const [acme, globex] = [tenant(), tenant()];
      await store().add(acme, [newEpisode({ ingestKey: "k" })]);
      const [added] = await store().add(globex, [newEpisode({ ingestKey: "k" })]);
      expect(added?.added).toBe(true);
    });
    it("numbers the episodes of a group without two of the same, whoever writes at once", async () => {
      const acme = tenant();
      const added = await Promise.all(
        Array.from({ length: 20 }, () => store().add(acme, [newEpisode(), newEpisode()])),
      );
      const episodes = added.flat().map(({ episode }) => episode);
      expect(new Set(episodes.map(({ revision }) => revision)).size).toBe(40);
      const ordered = episodes.toSorted((a, b) => a.revision - b.revision);
      const recorded = ordered.map(({ recordedAt }) => recordedAt.getTime());
      expect(recorded).toEqual(recorded.toSorted((a, b) => a - b));
    });
    it("stores one of many with the same key at once", async () => {
      const acme = tenant();
      const added = await Promise.all(
        Array.from({ length: 20 }, () => store().add(acme, [newEpisode({ ingestKey: "k" })])),
      );
      expect(added.flat().filter((one) => one.added)).toHaveLength(1);
      expect(new Set(added.flat().map(({ episode }) => episode.id)).size).toBe(1);
    });
    it("does nothing for nothing", async () => {
      expect(await store().add(tenant(), [])).toEqual([]);
    });
  });

  describe("addOnce", () => {
    it("stores the episodes of an event once, however often it is delivered", async () => {
      const acme = tenant();
      const event = { id: newId() };
      const given = () => [newEpisode(), newEpisode()];
      const all = await Promise.all(
        Array.from({ length: 5 }, () => store().addOnce(event, acme, given())),
      );
      expect(all.map(({ length }) => length).toSorted((a, b) => a - b)).toEqual([0, 0, 0, 0, 2]);
      expect((await store().list(acme, "ana", 10, undefined)).episodes).toHaveLength(2);
    });
    it("stores what comes at the same moment, though one of it cannot be stored", async () => {
      const acme = tenant();
      const given = Array.from({ length: 6 }, (_, at) =>
        newEpisode({ groupId: at % 2 === 0 ? "ana" : "ben", text: at === 2 ? "\0" : `text ${at}` }),
      );
      const all = await Promise.allSettled(
        given.map((episode) => store().addOnce({ id: newId() }, acme, [episode])),
      );
      const stored = all.map((one) => one.status === "fulfilled" && one.value.map(({ id }) => id));
      expect(stored).toEqual(given.map(({ id }, at) => at !== 2 && [id]));
      const { episodes } = await store().list(acme, "ana", 10, undefined);
      expect(episodes.map(({ episode }) => episode.id)).toEqual([given[4]?.id, given[0]?.id]);
    });
    it("tells of several events apart, also of one without episodes", async () => {
      const acme = tenant();
      const [one, other] = [{ id: newId() }, { id: newId() }];
      const given = [newEpisode(), newEpisode()];
      const first = [store().addOnce(one, acme, given), store().addOnce(other, acme, [])];
      expect((await Promise.all(first)).map(({ length }) => length)).toEqual([2, 0]);
      expect(await store().addOnce(other, acme, [newEpisode()])).toEqual([]);
    });
    it("leaves out what was stored before by another way", async () => {
      const acme = tenant();
      const there = newEpisode();
      await store().add(acme, [there]);
      const fresh = newEpisode();
      const again = newEpisode({ ingestKey: there.ingestKey });
      const added = await store().addOnce({ id: newId() }, acme, [again, fresh]);
      expect(added.map(({ id }) => id)).toEqual([fresh.id]);
    });
  });

  describe("get", () => {
    it("gives undefined for an episode that was never stored", async () => {
      expect(await store().get(tenant(), newId())).toBeUndefined();
    });
    it("hides one tenant's episode from another", async () => {
      const episode = newEpisode();
      await store().add(tenant(), [episode]);
      expect(await store().get(tenant(), episode.id)).toBeUndefined();
    });
    it("gives a copy", async () => {
      const acme = tenant();
      const episode = newEpisode();
      await store().add(acme, [episode]);
      (await store().get(acme, episode.id))?.episode.occurredAt.setFullYear(1999);
      const again = await store().get(acme, episode.id);
      expect(again?.episode.occurredAt).toEqual(episode.occurredAt);
    });
    it("says which stages it has passed", async () => {
      const acme = tenant();
      const episode = newEpisode();
      await store().add(acme, [episode]);
      expect((await store().get(acme, episode.id))?.stages).toEqual([
        { name: "stored", status: "done", attempts: 1, failed: "" },
        { name: "embedded", status: "pending", attempts: 0, failed: "" },
      ]);
    });
  });

  describe("list", () => {
    it("gives every episode of the group once, the latest stored first, to the last page", async () => {
      const acme = tenant();
      const given = Array.from({ length: 7 }, () => newEpisode());
      for (const episode of given) await store().add(acme, [episode]);
      await store().add(acme, [newEpisode({ groupId: "ben" })]);
      const seen: string[] = [];
      let next: number | undefined;
      do {
        const page = await store().list(acme, "ana", 3, next);
        expect(page.episodes.length).toBeLessThanOrEqual(3);
        seen.push(...page.episodes.map(({ episode }) => episode.id));
        next = page.next;
      } while (next !== undefined);
      expect(seen).toEqual(given.map(({ id }) => id).toReversed());
    });
    it("gives an empty last page for a group that nobody has", async () => {
      expect(await store().list(tenant(), "nobody", 3, undefined)).toEqual({
        episodes: [],
        next: undefined,
      });
    });
    it("hides one tenant's group from another", async () => {
      await store().add(tenant(), [newEpisode()]);
      expect((await store().list(tenant(), "ana", 3, undefined)).episodes).toEqual([]);
    });
  });

  describe("news", () => {
    it("tells of each change once, in order", async () => {
      const acme = tenant();
      const [first, second] = [newEpisode(), newEpisode()];
      await store().add(acme, [first]);
      const [news] = await store().news(acme, "m", [{ groupId: "ana", revision: 0 }]);
      expect(ids(news?.changes)).toEqual([first.id]);
      await store().add(acme, [second]);
      const known = { groupId: "ana", revision: news?.revision ?? 0 };
      const [more] = await store().news(acme, "m", [known]);
      expect(ids(more?.changes)).toEqual([second.id]);
      expect(
        await store().news(acme, "m", [{ groupId: "ana", revision: more?.revision ?? 0 }]),
      ).toEqual([]);
    });
    it("reads many groups at once and leaves out those without news", async () => {
      const acme = tenant();
      for (const groupId of ["ana", "ben", "eve"])
        await store().add(acme, [newEpisode({ groupId, text: groupId })]);
      const known = [
        { groupId: "ana", revision: 0 },
        { groupId: "ben", revision: 1 },
        { groupId: "nobody", revision: 0 },
      ];
      const news = await store().news(acme, "m", known);
      expect(news.map(({ groupId }) => groupId)).toEqual(["ana"]);
    });
    it("moves on when nothing was stored under a number", async () => {
      const acme = tenant();
      await store().add(acme, [newEpisode({ ingestKey: "k" })]);
      await store().add(acme, [newEpisode({ ingestKey: "k" })]);
      const [news] = await store().news(acme, "m", [{ groupId: "ana", revision: 1 }]);
      expect(news).toEqual({ groupId: "ana", revision: 2, changes: [] });
    });
    it("misses nothing while others write", async () => {
      const acme = tenant();
      const writing = Array.from({ length: 15 }, () => store().add(acme, [newEpisode()]));
      const seen: string[] = [];
      let revision = 0;
      const read = async () => {
        const [news] = await store().news(acme, "m", [{ groupId: "ana", revision }]);
        seen.push(...ids(news?.changes));
        revision = news?.revision ?? revision;
      };
      for (const written of writing) {
        await written;
        await read();
      }
      const all = (await Promise.all(writing)).flat().map(({ episode }) => episode.id);
      expect(seen.toSorted()).toEqual(all.toSorted());
    });
    it("hides one tenant's group from another", async () => {
      await store().add(tenant(), [newEpisode()]);
      expect(await store().news(tenant(), "m", [{ groupId: "ana", revision: 0 }])).toEqual([]);
    });
  });
}

function ids(changes: readonly object[] = []): readonly string[] {
  return changes.flatMap((change) =>
    "episode" in change ? [(change.episode as { id: string }).id] : [],
  );
}
