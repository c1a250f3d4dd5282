import { inboxMigrations } from "@soldier/events/inbox";
import { newId } from "@soldier/kernel/ids";
import { describeOn, type TestPostgres, testPostgres } from "@soldier/storage/testing";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { AttributeCondition, Comparison, FactFilters, TimeCondition } from "./fact-filters.ts";
import { asked, newClaim } from "./fact-store.contract.ts";
import type { FactStore } from "./fact-store.ts";
import { postgresFactStore } from "./postgres-facts.ts";

const backends = testPostgres([new URL("../../migrations/", import.meta.url), inboxMigrations]);

const none: FactFilters = { from: [], to: [], attributes: [], subjectTypes: [], objectTypes: [] };
const day = (number: number) => new Date(Date.UTC(2020, 0, number));

interface Given {
  readonly object: string;
  readonly from: number;
  readonly to: number | undefined;
  readonly attributes: Readonly<Record<string, string | number | boolean | null>>;
}

const small = fc.integer({ min: 1, max: 5 });
const value = fc.oneof(small, fc.constantFrom("a", "b", "c"), fc.boolean());
const given: fc.Arbitrary<readonly Given[]> = fc.uniqueArray(
  fc.record({
    object: fc.constantFrom("lamp", "desk", "repair", "nobody"),
    from: small,
    to: fc.option(fc.integer({ min: 6, max: 9 }), { nil: undefined }),
    attributes: fc.dictionary(fc.constantFrom("total", "size"), fc.oneof(value, fc.constant(null))),
  }),
  { maxLength: 4, selector: ({ object }) => object },
);

const valued = fc.constantFrom<Comparison>("=", "<>", "<", "<=", ">", ">=");
const alone = fc.constantFrom<Comparison>("is null", "is not null");
const condition = <T>(of: fc.Arbitrary<T>) =>
  fc.oneof(
    fc.record({ comparison: valued, value: of as fc.Arbitrary<T | undefined> }),
    fc.record({ comparison: alone, value: fc.constant(undefined) }),
  );
const times = fc.array(
  fc.array(
    condition(fc.integer({ min: 1, max: 9 }).map(day)).map(
      ({ comparison, value: time }): TimeCondition => ({ comparison, time }),
    ),
    { minLength: 1, maxLength: 2 },
  ),
  { maxLength: 2 },
);
const filters: fc.Arbitrary<FactFilters> = fc.record({
  from: times,
  to: times,
  attributes: fc.array(
    fc
      .tuple(fc.constantFrom("total", "size", "colour"), condition(value))
      .map(([name, of]): AttributeCondition => ({ name, ...of })),
    { maxLength: 2 },
  ),
  subjectTypes: fc.constantFrom([], ["person"], ["place"]),
  objectTypes: fc.subarray(["product", "Org", "place"]),
});

/** Whether it meets the condition, in so many words. */
function meets<T>(
  own: T | null | undefined,
  comparison: Comparison,
  wanted: T | undefined,
): boolean {
  const there = own !== null && own !== undefined;
  if (comparison === "is null") return !there;
  if (comparison === "is not null") return there;
  if (!there || wanted === undefined || wanted === null) return false;
  if (comparison === "=") return own === wanted;
  if (comparison === "<>") return own !== wanted;
  if (typeof own !== typeof wanted) return false;
  if (comparison === "<") return own < wanted;
  if (comparison === "<=") return own <= wanted;
  return comparison === ">" ? own > wanted : own >= wanted;
}

const types = new Map([
  ["alice", "person"],
  ["lamp", "product"],
  ["desk", "product"],
  ["repair", "organisation"],
]);

function passes(fact: Given, { from, to, attributes, subjectTypes, objectTypes }: FactFilters) {
  const timely = (at: number | undefined, groups: FactFilters["from"]) =>
    groups.length === 0 ||
    groups.some((group) =>
      group.every(({ comparison, time }) =>
        meets(at === undefined ? undefined : day(at).getTime(), comparison, time?.getTime()),
      ),
    );
  const typed = (id: string, wanted: readonly string[]) =>
    wanted.length === 0 ||
    wanted.some((type) => types.get(id) === (type === "Org" ? "organisation" : type));
  return (
    timely(fact.from, from) &&
    timely(fact.to, to) &&
    attributes.every(({ name, comparison, value: wanted }) =>
      meets<unknown>(fact.attributes[name], comparison, wanted),
    ) &&
    typed("alice", subjectTypes) &&
    typed(fact.object, objectTypes)
  );
}

describeOn("a query of facts with filters", backends, (backend) => {
  let opened: TestPostgres & AsyncDisposable;
  let store: FactStore;
  beforeAll(async () => {
    opened = await backend.open();
    store = postgresFactStore(opened.sql);
  });
  afterAll(() => opened[Symbol.asyncDispose]());

  const stored = async (facts: readonly Given[]) => {
    const acme = newId();
    await store.addEntities(
      acme,
      Array.from(types, ([id, type]) => ({ id, groupId: "g", type, name: id, aliases: [] })),
    );
    const claims = facts.map(({ object, from, to, attributes }) =>
      newClaim(object, {
        predicate: "ordered",
        validFrom: day(from),
        validTo: to === undefined ? undefined : day(to),
        attributes: { ...attributes },
      }),
    );
    if (claims.length > 0) await store.addClaims(acme, "g", claims, undefined);
    return acme;
  };

  it("finds what meets them, and nothing else", async () => {
    await fc.assert(
      fc.asyncProperty(
        given,
        fc.array(filters, { minLength: 1, maxLength: 6 }),
        async (facts, all) => {
          const acme = await stored(facts);
          for (const each of all) {
            const page = await store.facts(acme, asked({ filters: each }));
            const found = page.facts.map(
              ({ value: object }) => object.kind === "entity" && object.id,
            );
            const wanted = facts.filter((fact) => passes(fact, each)).map(({ object }) => object);
            expect(new Set(found)).toEqual(new Set(wanted));
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("fills a page with what meets them", async () => {
    const acme = await stored([
      { object: "lamp", from: 1, to: undefined, attributes: { total: 1 } },
      { object: "desk", from: 2, to: undefined, attributes: { total: 2 } },
      { object: "repair", from: 3, to: undefined, attributes: { total: 3 } },
    ]);
    const attributes = [{ name: "total", comparison: ">", value: 1 }] as const;
    const query = asked({ filters: { ...none, attributes }, limit: 1 });
    const first = await store.facts(acme, query);
    const second = await store.facts(acme, { ...query, after: first.next });
    expect([...first.facts, ...second.facts].map((fact) => fact.attributes)).toEqual([
      { total: 2 },
      { total: 3 },
    ]);
    expect(second.next).toBeUndefined();
  });

  it("keeps of each attribute what was recorded last, and survives a rebuild", async () => {
    const acme = newId();
    for (const attributes of [{ total: 1, size: "s" }, { total: 2 }])
      await store.addClaims(acme, "g", [newClaim("lamp", { attributes })], undefined);
    const { facts } = await store.facts(acme, asked());
    expect(facts.map((fact) => fact.attributes)).toEqual([{ total: 2, size: "s" }]);
    expect(await store.rebuild(acme, "g")).toBe(0);
  });
});
