import { newId } from "@soldier/kernel/ids";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type NewClaim, valueKey } from "../domain/claim.ts";
import type { ErasureScope } from "../domain/erasure.ts";
import { factHistory } from "../domain/fact-history.ts";
import { claimsOf, history, uses } from "../domain/testing-claims.ts";
import { newEpisode } from "./episode-store.contract.ts";
import type { EpisodeStore } from "./episode-store.ts";
import type { ErasureStore } from "./erasure-store.ts";
import { asked, newClaim, predicates } from "./fact-store.contract.ts";
import type { FactStore } from "./fact-store.ts";

export interface ErasableStores {
  readonly episodes: EpisodeStore;
  readonly facts: FactStore;
  readonly erasures: ErasureStore;
}

const day = (text: string) => new Date(`${text}T00:00:00Z`);

/** What every ErasureStore must do. A line here is a promise to the rest of Soldier. */
export function erasureStoreContract(stores: () => ErasableStores): void {
  const { episodes, facts, erasures } = {
    episodes: () => stores().episodes,
    facts: () => stores().facts,
    erasures: () => stores().erasures,
  };
  const tenant = async () => {
    const acme = newId();
    await facts().setPredicates(acme, predicates);
    return acme;
  };
  const say = async (acme: string, over: Parameters<typeof newEpisode>[0] = {}) => {
    const [added] = await episodes().add(acme, [newEpisode({ groupId: "g", ...over })]);
    if (!added) throw new Error("one was given");
    return added.episode;
  };
  const claim = async (acme: string, object: string, over: Partial<NewClaim> = {}) => {
    const added = await facts().addClaims(acme, "g", [newClaim(object, over)], undefined);
    if (added.kind !== "stored") throw new Error(`not stored: ${JSON.stringify(added)}`);
    const [stored] = added.claims;
    if (!stored) throw new Error("one was given");
    return stored;
  };
  const begin = async (acme: string, scope: ErasureScope, customerIds: readonly string[] = []) => {
    const about = await erasures().about(acme, scope);
    if (!about) return undefined;
    const known = scope.kind === "customer" ? [scope.customerId, ...customerIds] : [];
    return await erasures().begin(acme, scope, { ...about, customerIds: known }, "op", 60_000);
  };
  const erase = async (acme: string, scope: ErasureScope, customerIds: readonly string[] = []) => {
    const erasure = await begin(acme, scope, customerIds);
    if (!erasure) return {};
    for (const groupId of await erasures().groups(erasure))
      await erasures().eraseGroup(erasure, groupId, true);
    expect(await erasures().leftovers(erasure)).toBe(0);
    return (await erasures().finish(erasure)).counts;
  };
  const told = async (acme: string, recordedAt?: Date) =>
    (await facts().facts(acme, asked({ recordedAt }))).facts;
  const objects = async (acme: string, recordedAt?: Date) =>
    (await told(acme, recordedAt)).map(({ value }) => value.kind === "entity" && value.id);

  describe("erasing an episode", () => {
    it("takes it and its claims away at every recorded time", async () => {
      const acme = await tenant();
      const gone = await say(acme);
      const stays = await say(acme);
      const { recordedAt } = await claim(acme, "yoga", { predicate: "likes", episodeId: gone.id });
      await claim(acme, "jazz", { predicate: "likes", episodeId: stays.id });
      expect(await erase(acme, { kind: "episode", episodeId: gone.id })).toMatchObject({
        episodes: 1,
        claims: 1,
        fact_versions: 1,
      });
      expect(await episodes().get(acme, gone.id)).toBeUndefined();
      expect(await objects(acme)).toEqual(["jazz"]);
      expect(await objects(acme, recordedAt)).toEqual([]);
      expect(await facts().rebuild(acme, "g")).toBe(0);
    });

    it("erases nothing the second time", async () => {
      const acme = await tenant();
      const { id: episodeId } = await say(acme, { sessionId: "s" });
      await erase(acme, { kind: "episode", episodeId });
      expect(await erase(acme, { kind: "episode", episodeId })).toEqual({});
      expect(await erase(acme, { kind: "session", sessionId: "s" })).toEqual({});
    });

    it("lets a fact stand on what else says it", async () => {
      const acme = await tenant();
      const [gone, stays] = [await say(acme), await say(acme)];
      await claim(acme, "yoga", { predicate: "likes", episodeId: gone.id });
      const other = await claim(acme, "yoga", {
        predicate: "likes",
        episodeId: stays.id,
        validFrom: day("2021-01-01"),
      });
      await erase(acme, { kind: "episode", episodeId: gone.id });
      expect(await told(acme)).toMatchObject([{ claimIds: [other.id], reopened: false }]);
    });

    it("reopens what it had ended, and says so until it is said again", async () => {
      const acme = await tenant();
      const [paris, london] = [await say(acme), await say(acme)];
      await claim(acme, "paris", { episodeId: paris.id });
      await claim(acme, "london", { episodeId: london.id, validFrom: day("2022-01-01") });
      const counts = await erase(acme, { kind: "episode", episodeId: london.id });
      expect(counts).toMatchObject({ facts_reopened: 1 });
      expect(await told(acme)).toMatchObject([
        { value: { id: "paris" }, to: Infinity, reopened: true },
      ]);
      await claim(acme, "paris", { validFrom: day("2024-01-01") });
      expect(await told(acme)).toMatchObject([{ value: { id: "paris" }, reopened: false }]);
    });

    it("keeps what it had taken back taken back, without its words", async () => {
      const acme = await tenant();
      const [said, back] = [await say(acme), await say(acme)];
      const likes = { predicate: "likes", episodeId: said.id };
      await claim(acme, "yoga", likes);
      const { recordedAt } = await claim(acme, "jazz", likes);
      await claim(acme, "yoga", { ...likes, kind: "retract", episodeId: back.id });
      const counts = await erase(acme, { kind: "episode", episodeId: back.id });
      expect(counts).toMatchObject({ claims: 1, retractions_kept: 1 });
      expect(await objects(acme)).toEqual(["jazz"]);
      expect(new Set(await objects(acme, recordedAt))).toEqual(new Set(["jazz", "yoga"]));
      expect(await facts().rebuild(acme, "g")).toBe(0);
      await erase(acme, { kind: "episode", episodeId: said.id });
      expect(await told(acme)).toEqual([]);
    });

    it("takes entities away that nothing speaks of any more, and their merges", async () => {
      const acme = await tenant();
      const [gone, stays] = [await say(acme), await say(acme)];
      const names = ["alice", "yoga", "joga", "jazz"];
      const named = names.map((id) => ({ id, groupId: "g", type: "thing", name: id, aliases: [] }));
      await facts().addEntities(acme, named);
      await facts().merge(acme, { id: newId(), from: "joga", to: "yoga", by: "op", evidence: "" });
      await claim(acme, "yoga", { predicate: "likes", episodeId: gone.id });
      await claim(acme, "joga", { predicate: "likes", episodeId: gone.id });
      await claim(acme, "jazz", { predicate: "likes", episodeId: stays.id });
      const counts = await erase(acme, { kind: "episode", episodeId: gone.id });
      expect(counts).toMatchObject({ entities: 2, entity_merges: 1 });
      const left = await facts().listEntities(acme, "g", undefined, 10, undefined);
      expect(left.items.map(({ id }) => id)).toEqual(["alice", "jazz"]);
      expect(await facts().rebuild(acme, "g")).toBe(0);
    });

    it("takes parked claims along", async () => {
      const acme = await tenant();
      const [gone, stays] = [await say(acme), await say(acme)];
      for (const n of [1, 2, 3]) await claim(acme, `a${n}`, { subject: `s${n}` });
      const from = [gone, stays, gone];
      const moves = from.map(({ id }, n) =>
        newClaim("b", { subject: `s${n + 1}`, episodeId: id, validFrom: day("2023-01-01") }),
      );
      const added = await facts().addClaims(acme, "g", moves, { factsMax: 1, shareMax: 0.2 });
      expect(added.kind).toBe("parked");
      const counts = await erase(acme, { kind: "episode", episodeId: gone.id });
      expect(counts).toMatchObject({ parked_claims: 2 });
      const { items } = await facts().listParked(acme, 10, undefined);
      expect(items.map(({ claims }) => claims.map(({ episodeId }) => episodeId))).toEqual([
        [stays.id],
      ]);
    });

    it("leaves the group of what it was in, for everyone who holds it, to be read anew", async () => {
      const acme = await tenant();
      const gone = await say(acme);
      const stays = await say(acme);
      const known = { groupId: "g", revision: stays.revision };
      await erase(acme, { kind: "episode", episodeId: gone.id });
      const [news] = await episodes().news(acme, "m", [known]);
      expect(news).toMatchObject({ anew: true, changes: [{ episode: { id: stays.id } }] });
      const revision = news?.revision ?? 0;
      expect(await episodes().news(acme, "m", [{ groupId: "g", revision }])).toEqual([]);
    });

    it("is as if it had never been, for facts at every recorded time (P6, P7, P13)", async () => {
      await fc.assert(
        fc.asyncProperty(history, fc.integer({ min: 0, max: 4 }), async (drawings, which) => {
          const acme = await tenant();
          const drawn = claimsOf(drawings).filter(({ groupId }) => groupId === "g");
          const ids = new Map<string, string>();
          for (const name of ["e0", "e1", "e2", "e3", "e4"]) ids.set(name, (await say(acme)).id);
          const renamed = (id: string | undefined) => id && `${acme} ${id}`;
          const said = [];
          for (const { recordedAt: _, saidAt, groupId: __, ...one } of drawn) {
            const { id, target, episodeId = "" } = one;
            if (one.kind === "assert" && saidAt >= (one.validTo ?? Infinity)) continue;
            const given = {
              ...one,
              validFrom: one.validFrom ?? (one.kind === "assert" ? saidAt : undefined),
              id: `${acme} ${id}`,
              target: renamed(target),
              episodeId: ids.get(episodeId),
            };
            if (given.kind === "assert" && (given.validFrom ?? 0) >= (given.validTo ?? Infinity))
              continue;
            const added = await facts().addClaims(acme, "g", [given], undefined);
            if (added.kind === "stored") said.push(...added.claims);
          }
          const erasedId = ids.get(`e${which}`) ?? "";
          await erase(acme, { kind: "episode", episodeId: erasedId });

          const gone = new Set(
            said
              .filter(({ episodeId, kind }) => episodeId === erasedId && kind !== "retract")
              .map(({ id }) => id),
          );
          // What it took back stays taken back; all else of it never was.
          const left = said.filter(({ id, target }) => !gone.has(id) && !gone.has(target ?? ""));
          const expected = factHistory({
            tenantId: acme,
            groupId: "g",
            claims: left,
            merges: [],
            uses,
          });
          for (const { recordedAt } of said) {
            const at = recordedAt.getTime();
            const believed = expected.filter(
              (fact) => fact.recordedAt <= at && fact.supersededAt > at,
            );
            const shown = (fact: (typeof expected)[number]) =>
              JSON.stringify([
                fact.subject,
                fact.predicate,
                valueKey(fact.value),
                fact.from,
                String(fact.to),
                fact.claimIds,
                fact.reason ?? null,
                fact.disputed,
                fact.authority,
              ]);
            expect((await told(acme, recordedAt)).map(shown).toSorted()).toEqual(
              believed.map(shown).toSorted(),
            );
          }
          expect(await facts().rebuild(acme, "g")).toBe(0);
        }),
        { numRuns: 40 },
      );
    });
  });

  describe("erasing more", () => {
    it("takes a session's episodes, in whichever group, and no other's", async () => {
      const acme = await tenant();
      await say(acme, { sessionId: "s" });
      await say(acme, { sessionId: "s", groupId: "h" });
      const other = await say(acme, { sessionId: "t" });
      expect(await erase(acme, { kind: "session", sessionId: "s" })).toMatchObject({ episodes: 2 });
      expect((await episodes().list(acme, "g", 10, undefined)).episodes).toMatchObject([
        { episode: { id: other.id } },
      ]);
    });

    it("takes a customer's everything, under every id, also what operators said", async () => {
      const acme = await tenant();
      await say(acme, { groupId: "ana", customerId: "ana" });
      await say(acme, { groupId: "old-ana", customerId: "old-ana" });
      await say(acme, { groupId: "shared", customerId: "ana" });
      const ben = await say(acme, { groupId: "shared", customerId: "ben" });
      const claims = (subject: string) => [newClaim("paris", { subject })];
      await facts().addClaims(acme, "ana", claims("somebody"), undefined);
      await facts().addClaims(acme, "shared", claims("ana"), undefined);
      await facts().addClaims(acme, "shared", claims("ben"), undefined);
      const counts = await erase(acme, { kind: "customer", customerId: "ana" }, ["old-ana"]);
      expect(counts).toMatchObject({ episodes: 3, claims: 2 });
      const groupIds = ["ana", "old-ana", "shared"];
      const left = (await facts().facts(acme, asked({ groupIds }))).facts;
      expect(left.map(({ subject }) => subject)).toEqual(["ben"]);
      expect((await episodes().get(acme, ben.id))?.episode.id).toBe(ben.id);
    });

    it("takes a tenant's everything and nothing of another", async () => {
      const [acme, globex] = [await tenant(), await tenant()];
      for (const of of [acme, globex]) {
        const { id: episodeId } = await say(of);
        await claim(of, "paris", { episodeId });
      }
      await erase(acme, { kind: "tenant" });
      expect([await objects(acme), await objects(globex)]).toEqual([[], ["paris"]]);
    });

    it("takes what an agent heard before a time", async () => {
      const acme = await tenant();
      const about = { agentId: "desk" };
      await say(acme, { ...about, occurredAt: day("2020-01-01") });
      const newer = await say(acme, { ...about, occurredAt: day("2024-01-01") });
      const other = await say(acme, { agentId: "shop", occurredAt: day("2020-01-01") });
      const scope = { kind: "expired", agentId: "desk", before: day("2023-01-01") } as const;
      expect(await erase(acme, scope)).toMatchObject({ episodes: 1 });
      const left = (await episodes().list(acme, "g", 10, undefined)).episodes;
      expect(left.map(({ episode }) => episode.id).toSorted()).toEqual(
        [newer.id, other.id].toSorted(),
      );
    });

    it("counts without changing anything", async () => {
      const acme = await tenant();
      const { id: episodeId, customerId } = await say(acme);
      await claim(acme, "paris", { episodeId });
      const scope = { kind: "customer", customerId } as const;
      const about = { customerIds: [customerId], sessionId: "", turnId: "", role: "" };
      const trial = await erasures().trial(acme, scope, about);
      expect(await erasures().groups(trial)).toEqual(["g"]);
      const { counts } = await erasures().eraseGroup(trial, "g", false);
      expect(await objects(acme)).toEqual(["paris"]);
      expect(await episodes().get(acme, episodeId)).toBeDefined();
      expect((await erasures().list(acme, 10, undefined)).items).toEqual([]);
      await say(acme); // nothing refuses it
      await erase(acme, { kind: "episode", episodeId });
      expect(counts).toMatchObject({ episodes: 1, claims: 1, fact_versions: 1 });
    });
  });

  describe("what was erased", () => {
    it("is refused when it comes again, by its ingest key", async () => {
      const acme = await tenant();
      const { id: episodeId, ingestKey } = await say(acme);
      await erase(acme, { kind: "episode", episodeId });
      await expect(say(acme, { ingestKey })).rejects.toMatchObject({ reason: "EPISODE_ERASED" });
      const again = newEpisode({ ingestKey, groupId: "g" });
      expect(await episodes().addOnce({ id: newId() }, acme, [again])).toEqual([]);
      await say(await tenant(), { ingestKey }); // another tenant's key is another key
    });

    it("is refused when it was on its way, and what is new is not", async () => {
      const acme = await tenant();
      await say(acme, { sessionId: "s", customerId: "ana" });
      await erase(acme, { kind: "session", sessionId: "s" });
      const late = { sessionId: "s", occurredAt: new Date(Date.now() - 1_000) };
      await expect(say(acme, late)).rejects.toMatchObject({ reason: "EPISODE_ERASED" });
      await say(acme, { sessionId: "s", occurredAt: new Date(Date.now() + 60_000) });
      await say(acme, { sessionId: "other" });
      await erase(acme, { kind: "customer", customerId: "ana" });
      await expect(say(acme, { customerId: "ana" })).rejects.toMatchObject({
        reason: "EPISODE_ERASED",
      });
    });

    it("leaves a tombstone that says nothing", async () => {
      const acme = await tenant();
      const { id: episodeId } = await say(acme, { ingestKey: "secret-key", text: "secret-text" });
      await erase(acme, { kind: "episode", episodeId });
      expect(await dump(acme)).not.toMatch(/secret/);
    });

    it("is nowhere, however storing and erasing race", async () => {
      const acme = await tenant();
      await say(acme, { customerId: "ana" });
      const storing = Array.from({ length: 30 }, () =>
        say(acme, { customerId: "ana" }).catch((error: unknown) => error),
      );
      const erasing = begin(acme, { kind: "customer", customerId: "ana" });
      const more = Array.from({ length: 30 }, () =>
        say(acme, { customerId: "ana" }).catch((error: unknown) => error),
      );
      const erasure = await erasing;
      if (!erasure) throw new Error("it has begun");
      for (const groupId of await erasures().groups(erasure))
        await erasures().eraseGroup(erasure, groupId, true);
      await Promise.all([...storing, ...more]);
      expect(await erasures().leftovers(erasure)).toBe(0);
      expect((await episodes().list(acme, "g", 100, undefined)).episodes).toEqual([]);
    });
  });

  describe("an erasure", () => {
    it("is gone on with when it is asked for again before it is finished", async () => {
      const acme = await tenant();
      await say(acme, { sessionId: "s" });
      const scope = { kind: "session", sessionId: "s" } as const;
      const first = await begin(acme, scope);
      const again = await begin(acme, scope);
      expect(again?.id).toBe(first?.id);
      if (!again) throw new Error("it has begun");
      await erasures().finish(again);
      expect((await begin(acme, scope))?.id).not.toBe(first?.id);
    });

    it("is due when it was put off, to one worker at a time", async () => {
      const acme = await tenant();
      const erasure = await begin(acme, { kind: "session", sessionId: "s" });
      if (!erasure) throw new Error("it has begun");
      const mine = async () =>
        (await erasures().due(1_000, 60_000)).filter(({ tenantId }) => tenantId === acme);
      expect(await mine()).toEqual([]); // whoever began it works on it
      await erasures().putOff(erasure, "AWAY", 0);
      expect(await mine()).toMatchObject([{ id: erasure.id, attempts: 1, failed: "AWAY" }]);
      expect(await mine()).toEqual([]);
    });

    it("counts each step once and keeps its certificate", async () => {
      const acme = await tenant();
      const erasure = await begin(acme, { kind: "session", sessionId: "s" });
      if (!erasure) throw new Error("it has begun");
      await erasures().stepDone(erasure, "audit", { keys: 1 }, 0);
      await erasures().stepDone(erasure, "audit", { keys: 1 }, 0);
      const finished = await erasures().finish(erasure);
      expect(finished).toMatchObject({ done: ["audit"], counts: { keys: 1 }, failed: "" });
      expect(await erasures().get(acme, erasure.id)).toEqual(finished);
      expect(await erasures().get(newId(), erasure.id)).toBeUndefined();
      const { items } = await erasures().list(acme, 10, undefined);
      expect(items).toEqual([finished]);
    });
  });

  async function dump(acme: string): Promise<string> {
    const { items } = await erasures().list(acme, 100, undefined);
    const { episodes: all } = await episodes().list(acme, "g", 100, undefined);
    return JSON.stringify([items, all, await told(acme)]);
  }
}
