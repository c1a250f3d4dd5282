import { isDeepStrictEqual } from "node:util";
import { newId } from "@soldier/kernel/ids";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Claim, NewClaim } from "../domain/claim.ts";
import type { Predicate } from "../domain/predicate.ts";
import { claimsOf, dayAt, days, type Drawn, history, rules } from "../domain/testing-claims.ts";
import { holdersByLoop } from "../domain/testing-model.ts";
import type { AddedClaims, FactQuery, FactStore } from "./fact-store.ts";

const day = (text: string) => new Date(`${text}T00:00:00Z`);

export const newClaim = (object: string, over: Partial<NewClaim> = {}): NewClaim => ({
  id: newId(),
  kind: "assert",
  subject: "alice",
  predicate: "lives_in",
  value: { kind: "entity", id: object },
  validFrom: day("2020-01-01"),
  validTo: undefined,
  timeBasis: "stated",
  target: undefined,
  episodeId: undefined,
  spanStart: 0,
  spanEnd: 0,
  authority: "user",
  confidence: 1,
  extractor: "operator",
  ...over,
});

const predicate = (name: string, over: Partial<Predicate> = {}): Predicate => ({
  name,
  cardinality: "one",
  inverseOne: false,
  authorityFirst: false,
  subjectTypes: [],
  objectTypes: [],
  temporalKind: "state",
  piiClass: "",
  ...over,
});

export const predicates: readonly Predicate[] = [
  predicate("lives_in"),
  predicate("likes", { cardinality: "many" }),
  predicate("address", { authorityFirst: true }),
  predicate("reached_at", { cardinality: "many", inverseOne: true }),
];

export const asked = (over: Partial<FactQuery> = {}): FactQuery => ({
  groupIds: ["g"],
  subject: undefined,
  predicates: [],
  object: undefined,
  recordedAt: undefined,
  valid: undefined,
  limit: 500,
  after: undefined,
  ...over,
});

const limits = { factsMax: 5, shareMax: 0.2 };

function stored(added: AddedClaims | undefined) {
  if (added?.kind !== "stored") throw new Error(`not stored: ${JSON.stringify(added)}`);
  return added.claims;
}

const instants = Array.from({ length: days + 8 }, (_, i) => dayAt(i).getTime());
const byLoop = (claims: readonly Claim[]) =>
  instants.map((instant) => holdersByLoop(claims, rules, Infinity, instant));

/** Generated claims as the border lets them through: without empty intervals, and without an episode. */
export function storable(drawings: readonly Drawn[]) {
  const claims = claimsOf(drawings).filter(
    ({ kind, validFrom, saidAt, validTo }) =>
      kind !== "assert" || !validTo || validTo > (validFrom ?? saidAt),
  );
  const ids = new Set(claims.map(({ id }) => id));
  const kept = claims.filter(({ target }) => target === undefined || ids.has(target));
  return kept.map((claim) => ({
    ...claim,
    episodeId: undefined,
    // The time of an assumed one would be ours.
    validFrom: claim.kind === "assert" ? (claim.validFrom ?? claim.saidAt) : undefined,
  }));
}

/** As it reads while bob is taken for alice. */
function asAlice(claim: Claim): Claim {
  const { subject, value } = claim;
  const alice = { kind: "entity", id: "alice" } as const;
  const isBob = value?.kind === "entity" && value.id === "bob";
  return {
    ...claim,
    subject: subject === "bob" ? "alice" : subject,
    value: isBob ? alice : value,
  };
}

/** Retractions by what they took back when they were said: names that become one later add nothing. */
function byTarget(claims: readonly Claim[]): readonly Claim[] {
  return claims.flatMap((retract) => {
    if (retract.kind !== "retract" || retract.target !== undefined) return [retract];
    const meant = claims.filter(
      (claim) =>
        claim.kind === "assert" &&
        claim.recordedAt < retract.recordedAt &&
        claim.subject === retract.subject &&
        claim.predicate === retract.predicate &&
        isDeepStrictEqual(claim.value, retract.value),
    );
    return meant.map(({ id }) => ({ ...retract, id: `${retract.id} of ${id}`, target: id }));
  });
}

/** What every FactStore must do. A line here is a promise to the rest of Soldier. */
export function factStoreContract(stores: () => FactStore): void {
  const store = () => stores();
  const tenant = async () => {
    const acme = newId();
    await store().setPredicates(acme, predicates);
    return acme;
  };
  const add = async (acme: string, ...claims: NewClaim[]) =>
    stored(await store().addClaims(acme, "g", claims, undefined));
  const told = async (acme: string, over: Partial<FactQuery> = {}) =>
    (await store().facts(acme, asked(over))).facts.map(({ value, from, to, subject }) =>
      [
        subject,
        value.kind === "entity" ? value.id : JSON.stringify(value.json),
        new Date(from).getUTCFullYear(),
        to === Infinity ? "…" : new Date(to).getUTCFullYear(),
      ].join(" "),
    );
  const name = async (acme: string, ...ids: string[]) =>
    store().addEntities(
      acme,
      ids.map((id) => ({ id, groupId: "g", type: "person", name: id, aliases: [] })),
    );
  /** Who holds what, at each of the instants that generated claims are about. */
  const holders = async (acme: string) => {
    const { facts } = await store().facts(acme, asked());
    return instants.map((instant) =>
      facts
        .filter(({ disputed, from, to }) => !disputed && from <= instant && instant < to)
        .map(({ subject, predicate: of, value }) =>
          [subject, of, value.kind === "entity" ? value.id : ""].join(" "),
        )
        .toSorted(),
    );
  };
  const merge = async (acme: string, from: string, to: string) =>
    store().merge(acme, { id: newId(), from, to, by: "ops", evidence: "" });

  describe("claims", () => {
    it("are stored as given, and once for one id", async () => {
      const acme = await tenant();
      const claim = newClaim("paris", { value: { kind: "literal", json: { city: ["Paris", 1] } } });
      const [first] = await add(acme, claim);
      expect(first).toMatchObject(claim);
      expect(await add(acme, { ...claim, authority: "verified" }, claim)).toEqual([first, first]);
      expect((await store().facts(acme, asked())).facts).toMatchObject([{ claimIds: [claim.id] }]);
    });
    it("are recorded at rising times in their group, however many store them", async () => {
      const acme = await tenant();
      const many = Array.from({ length: 12 }, (_, i) => add(acme, newClaim(`city ${i}`)));
      const times = (await Promise.all(many)).flat().map((claim) => claim.recordedAt.getTime());
      expect(new Set(times).size).toBe(12);
      expect(await store().rebuild(acme, "g")).toBe(0);
    });
    it("that name a target say what it says; one that is not in the group is refused", async () => {
      const acme = await tenant();
      const [paris] = await add(acme, newClaim("paris"));
      const target = paris?.id;
      const absent = { subject: "", predicate: "", value: undefined, target };
      const elsewhere = newClaim("x", { ...absent, kind: "retract" });
      expect(await store().addClaims(acme, "h", [elsewhere], undefined)).toMatchObject({
        kind: "refused",
        fields: [{ field: "claims[0].target_claim_id" }],
      });
      await add(acme, newClaim("x", { ...absent, kind: "end", validTo: day("2021-01-01") }));
      expect(await told(acme)).toEqual(["alice paris 2020 2021"]);
      await add(acme, elsewhere);
      expect(await told(acme)).toEqual([]);
    });
    it("of an id that another group has, or an episode that is not there, are refused", async () => {
      const acme = await tenant();
      const claim = newClaim("paris");
      await add(acme, claim);
      expect(await store().addClaims(acme, "h", [claim], undefined)).toMatchObject({
        fields: [{ field: "claims[0].id" }],
      });
      const nowhere = newClaim("rome", { episodeId: newId() });
      expect(await store().addClaims(acme, "g", [claim, nowhere], undefined)).toMatchObject({
        fields: [{ field: "claims[1].episode_id" }],
      });
      expect(await told(acme)).toEqual(["alice paris 2020 …"]);
    });
    it("that would end too many facts wait for a person, once, and are stored or dropped", async () => {
      const acme = await tenant();
      const people = Array.from({ length: 6 }, (_, i) => `person ${i}`);
      await add(acme, ...people.map((subject) => newClaim("paris", { subject })));
      const validFrom = day("2022-01-01");
      const moved = people.map((subject) => newClaim("rome", { subject, validFrom }));
      const parked = await store().addClaims(acme, "g", moved, limits);
      expect(parked).toMatchObject({ kind: "parked", parked: { factsEnded: 6, factsHeld: 6 } });
      expect(await store().addClaims(acme, "g", moved, limits)).toEqual(parked);
      const { items } = await store().listParked(acme, 10, undefined);
      expect(items).toEqual(parked.kind === "parked" ? [parked.parked] : []);
      expect(await told(acme)).toHaveLength(6);
      const id = items[0]?.id ?? "";
      expect(await store().review(newId(), id, true)).toBeUndefined();
      expect(stored(await store().review(acme, id, true))).toHaveLength(6);
      expect(await store().review(acme, id, true)).toBeUndefined();
      expect(await told(acme)).toHaveLength(12);
      const five = people
        .slice(1)
        .map((subject) => newClaim("oslo", { subject, validFrom: day("2023-01-01") }));
      expect(await store().addClaims(acme, "g", five, limits)).toMatchObject({ kind: "stored" });
    });
  });

  describe("facts", () => {
    it("answer on both axes", async () => {
      const acme = await tenant();
      const [paris] = await add(acme, newClaim("paris", { validFrom: day("2018-01-01") }));
      await add(acme, newClaim("rome", { validFrom: day("2024-01-01") }));
      const [london] = await add(acme, newClaim("london"));
      const at = (text: string) => ({ kind: "at", at: day(text) }) as const;
      const before = new Date((london?.recordedAt.getTime() ?? 0) - 1);
      expect(await told(acme, { valid: at("2021-01-01") })).toEqual(["alice london 2020 2024"]);
      expect(await told(acme, { valid: at("2021-01-01"), recordedAt: before })).toEqual([
        "alice paris 2018 2024",
      ]);
      expect(await told(acme, { recordedAt: paris?.recordedAt })).toEqual(["alice paris 2018 …"]);
      expect(await told(acme, { valid: at("2024-01-01") })).toEqual(["alice rome 2024 …"]);
      const valid = { kind: "overlap", from: day("2019-01-01"), to: day("2020-01-01") } as const;
      expect(await told(acme, { valid })).toEqual(["alice paris 2018 2020"]);
      const all = ["alice paris 2018 2020", "alice london 2020 2024", "alice rome 2024 …"];
      expect(await told(acme)).toEqual(all);
      const paged = await store().facts(acme, asked({ limit: 2 }));
      expect(await told(acme, { after: paged.next })).toEqual(all.slice(2));
      expect((await store().facts(acme, asked({ limit: 1, after: paged.next }))).next).toBe(
        undefined,
      );
    });
    it("are not there for a tenant or a group that nobody has", async () => {
      const [acme, nobody] = [await tenant(), newId()];
      await add(acme, newClaim("paris"));
      const none = { items: [], next: undefined };
      expect(await told(acme, { groupIds: ["nobody's"] })).toEqual([]);
      expect(await told(nobody)).toEqual([]);
      expect(await store().listEntities(nobody, "g", undefined, 5, undefined)).toEqual(none);
      expect(await store().entitiesById(acme, ["nobody"])).toEqual([]);
      expect(await store().listParked(nobody, 5, undefined)).toEqual(none);
      expect(await store().review(acme, newId(), true)).toBeUndefined();
      expect(await store().unmerge(acme, newId())).toBeUndefined();
      expect(await store().rebuild(nobody, "g")).toBe(0);
    });
    it("are copies, and so are claims and entities", async () => {
      const acme = await tenant();
      const json = { city: ["Paris"] };
      const claim = newClaim("paris", { value: { kind: "literal", json } });
      const [added] = await add(acme, claim);
      await name(acme, "alice");
      const read = async () => ({
        facts: (await store().facts(acme, asked())).facts,
        entities: await store().entitiesById(acme, ["alice"]),
      });
      const before = structuredClone(await read());
      json.city.push("changed");
      const seen = await read();
      for (const held of [added, ...seen.facts]) {
        const value = held?.value;
        if (value?.kind === "literal") Object.assign(value.json as object, { city: "changed" });
      }
      for (const entity of seen.entities) Object.assign(entity, { name: "changed" });
      expect(await read()).toEqual(before);
      expect(before.facts).toMatchObject([{ value: { json: { city: ["Paris"] } } }]);
    });
    it("stay in their tenant and group", async () => {
      const [acme, globex] = [await tenant(), await tenant()];
      await add(acme, newClaim("paris"));
      await store().addClaims(acme, "h", [newClaim("rome")], undefined);
      expect(await told(globex)).toEqual([]);
      expect(await told(acme)).toEqual(["alice paris 2020 …"]);
      expect(await told(acme, { groupIds: ["h", "none"] })).toEqual(["alice rome 2020 …"]);
    });
    it("follow a changed predicate from then on, and answer for before as they did", async () => {
      const acme = await tenant();
      await add(acme, newClaim("jazz", { predicate: "hears" }));
      const [tea] = await add(
        acme,
        newClaim("tango", { predicate: "hears", validFrom: day("2022-01-01") }),
      );
      await store().setPredicates(acme, [...predicates, predicate("hears")]);
      expect(await told(acme)).toEqual(["alice jazz 2020 2022", "alice tango 2022 …"]);
      expect(await told(acme, { recordedAt: tea?.recordedAt })).toEqual([
        "alice jazz 2020 …",
        "alice tango 2022 …",
      ]);
      expect(await store().rebuild(acme, "g")).toBe(0);
    });
    it("have one owner of a value where the predicate says so", async () => {
      const acme = await tenant();
      const reached = {
        predicate: "reached_at",
        value: { kind: "literal", json: "+44 1" },
      } as const;
      await add(acme, newClaim("", reached));
      await add(acme, newClaim("", { ...reached, subject: "bob", validFrom: day("2023-01-01") }));
      expect(await told(acme)).toEqual(['alice "+44 1" 2020 2023', 'bob "+44 1" 2023 …']);
    });
    it("are for any history what a rebuild from the claims makes (P13), delivered once or twice (P5)", async () => {
      await fc.assert(
        fc.asyncProperty(history, fc.nat(), async (drawings, seed) => {
          const acme = await tenant();
          await name(acme, "alice", "bob");
          for (const [i, { groupId, ...given }] of storable(drawings).entries()) {
            await store().addClaims(acme, groupId, [given], undefined);
            if ((i + seed) % 3 === 0) await store().addClaims(acme, groupId, [given], undefined);
            if ((i + seed) % 7 === 0) await merge(acme, "bob", "alice");
          }
          for (const group of ["g", "h"]) expect(await store().rebuild(acme, group)).toBe(0);
        }),
        { numRuns: 15 },
      );
    }, 60_000);
    it("hold at every instant what a plain loop over the claims says, also while a merge lasts (P12, P17)", async () => {
      await fc.assert(
        fc.asyncProperty(history, async (drawings) => {
          const acme = await tenant();
          await name(acme, "alice", "bob");
          const claims: Claim[] = [];
          for (const { groupId, ...given } of storable(drawings))
            if (groupId === "g") claims.push(...(await add(acme, given)));
          const before = await holders(acme);
          expect(before).toEqual(byLoop(claims));
          const merged = await merge(acme, "bob", "alice");
          if (merged.kind !== "merged") throw new Error(JSON.stringify(merged));
          expect(await holders(acme)).toEqual(byLoop(byTarget(claims).map(asAlice)));
          await store().unmerge(acme, merged.merge.id);
          expect(await holders(acme)).toEqual(before);
          expect(await store().rebuild(acme, "g")).toBe(0);
        }),
        { numRuns: 15 },
      );
    }, 60_000);
  });

  describe("entities", () => {
    it("are found by any of their names, however written, in pages", async () => {
      const acme = await tenant();
      const entity = (id: string, groupId: string, entityName: string, ...aliases: string[]) => ({
        id,
        groupId,
        type: "org",
        name: entityName,
        aliases,
      });
      await store().addEntities(acme, [
        entity("a", "g", "Acme Corp", "ACME"),
        entity("b", "g", "Bolt"),
      ]);
      const list = async (given?: string, limit = 10, after?: string) =>
        store().listEntities(acme, "g", given, limit, after);
      expect((await list("  acme ")).items).toMatchObject([{ id: "a", canonicalId: "a" }]);
      expect((await list("Bo")).items).toEqual([]);
      const first = await list(undefined, 1);
      expect(first.items.map(({ id }) => id)).toEqual(["a"]);
      expect((await list(undefined, 1, first.next)).items.map(({ id }) => id)).toEqual(["b"]);
      expect(await store().addEntities(acme, [entity("a", "h", "Acme")])).toEqual(["a"]);
      await store().addEntities(acme, [entity("a", "g", "Anvil")]);
      expect(await store().entitiesById(acme, ["b", "a", "c"])).toMatchObject([
        { name: "Bolt" },
        { name: "Anvil" },
      ]);
      expect(await store().entitiesById(newId(), ["a"])).toEqual([]);
    });
    it("that are merged own the facts of both, and none is lost when it is undone (P17)", async () => {
      const acme = await tenant();
      await name(acme, "alice", "bob", "eve");
      await add(acme, newClaim("tea", { predicate: "likes" }), newClaim("paris"));
      await add(acme, newClaim("rome", { subject: "bob", validFrom: day("2022-01-01") }));
      await add(acme, newClaim("bob", { subject: "eve", predicate: "likes" }));
      const before = await told(acme);
      const merged = await merge(acme, "bob", "alice");
      if (merged.kind !== "merged") throw new Error(JSON.stringify(merged));
      expect(await merge(acme, "bob", "alice")).toEqual(merged);
      const between = await told(acme);
      expect(between.toSorted()).toEqual([
        "alice paris 2020 2022",
        "alice rome 2022 …",
        "alice tea 2020 …",
        "eve alice 2020 …",
      ]);
      expect(await told(acme, { subject: "bob" })).toHaveLength(3);
      expect(await told(acme, { object: "bob" })).toEqual(["eve alice 2020 …"]);
      expect(await store().entitiesById(acme, ["bob"])).toMatchObject([{ canonicalId: "alice" }]);
      const undone = await store().unmerge(acme, merged.merge.id);
      expect(undone?.undoneAt).toBeDefined();
      expect(await store().unmerge(acme, merged.merge.id)).toEqual(undone);
      expect((await told(acme)).toSorted()).toEqual(before.toSorted());
      expect((await told(acme, { recordedAt: merged.merge.recordedAt })).toSorted()).toEqual(
        between.toSorted(),
      );
      expect(await store().rebuild(acme, "g")).toBe(0);
    });
    it("are not merged in a ring, twice, across groups, or when they are not there", async () => {
      const acme = await tenant();
      await name(acme, "a", "b", "c");
      await store().addEntities(acme, [
        { id: "h1", groupId: "h", type: "", name: "h1", aliases: [] },
      ]);
      expect(await merge(acme, "a", "b")).toMatchObject({ kind: "merged" });
      for (const [from, to] of [
        ["b", "a"],
        ["a", "c"],
        ["c", "h1"],
      ] as const)
        expect(await merge(acme, from, to)).toMatchObject({ kind: "refused" });
      expect(await merge(acme, "c", "nobody")).toEqual({ kind: "not-found", entityId: "nobody" });
      expect(await merge(newId(), "b", "c")).toMatchObject({ kind: "not-found" });
      expect(await store().unmerge(acme, newId())).toBeUndefined();
    });
  });
}
