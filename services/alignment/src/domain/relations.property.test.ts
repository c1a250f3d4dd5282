import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type RelationCase, resolved } from "./testing-relations.ts";

/*
 * A second model of relations, by brute force and from the words of the reference alone: every set of
 * rules is tried as "those that stand", and one is an account of the whole when it is what comes out
 * of assuming it.
 */

type Given = Omit<RelationCase, "title" | "active">;

interface Account {
  readonly standing: ReadonlySet<string>;
  readonly active: ReadonlySet<string>;
}

function accounts(given: Given): Account[] {
  const all = [...Object.keys(given.rules), ...scenariosIn(given)];
  return subsets(all).flatMap((standing) => {
    const { stands, active } = follows(given, all, standing);
    const agrees = stands.size === standing.size && [...stands].every((id) => standing.has(id));
    return agrees ? [{ standing, active }] : [];
  });
}

/** What stands and what applies when exactly these are taken to override others. */
function follows(given: Given, all: readonly string[], overriding: ReadonlySet<string>) {
  const applies = new Set<string>();
  const stands = new Set<string>();
  for (let before = -1; before !== applies.size + stands.size;) {
    before = applies.size + stands.size;
    for (const id of all) {
      const begins = given.matched.includes(id) || given.scenarios?.includes(id);
      const broughtIn = of(given, "entails").some(
        ({ from, to }) => met(given, from, applies) && to.some((end) => isEnd(given, end, id)),
      );
      if ((begins || broughtIn) && needsAreMet(given, id, applies)) stands.add(id);
      if (stands.has(id) && !isOverridden(given, id, overriding)) applies.add(id);
    }
  }
  return { stands, active: applies };
}

function needsAreMet(given: Given, id: string, applies: ReadonlySet<string>): boolean {
  const home = given.scoped?.[id];
  const isSilenced = home !== undefined && isNamed(given, home) && given.scenarios?.includes(home);
  if (isSilenced && !applies.has(home)) return false;
  return given.relations
    .filter(({ from }) => isEnd(given, from, id))
    .every(({ kind, to }) => {
      if (kind === "depends_all") return to.every((end) => met(given, end, applies));
      return kind !== "depends_any" || to.some((end) => met(given, end, applies));
    });
}

function isOverridden(given: Given, id: string, standing: ReadonlySet<string>): boolean {
  return of(given, "overrides").some(({ from, to }) => {
    if (!to.some((end) => isEnd(given, end, id))) return false;
    const members = membersOf(given, from);
    if (!members.includes(id)) return met(given, from, standing);
    // Nothing overrides itself: of a group, another member has to stand.
    if (!from.startsWith("group:") || isAll(given, from)) return false;
    return members.some((member) => member !== id && standing.has(member));
  });
}

function met(given: Given, end: string, ids: ReadonlySet<string>): boolean {
  const members = membersOf(given, end);
  return isAll(given, end) ? members.every((id) => ids.has(id)) : members.some((id) => ids.has(id));
}

function isEnd(given: Given, end: string, id: string): boolean {
  return membersOf(given, end).includes(id);
}

function membersOf({ groups }: Given, end: string): readonly string[] {
  const [kind = "", id] = end.split(":");
  if (id === undefined) return [kind];
  return kind === "group" ? (groups?.[id] ?? []) : [id];
}

function isAll({ allOf }: Given, end: string): boolean {
  return end.startsWith("group:") && (allOf ?? []).includes(end.slice("group:".length));
}

function of({ relations }: Given, kind: string) {
  return relations.filter((relation) => relation.kind === kind);
}

function isNamed(given: Given, scenario: string): boolean {
  return given.relations.some(({ from, to }) => [from, ...to].includes(`scenario:${scenario}`));
}

function scenariosIn(given: Given): readonly string[] {
  return ["J"].filter((id) => given.scenarios?.includes(id) || isNamed(given, id));
}

function subsets(ids: readonly string[]): ReadonlySet<string>[] {
  return Array.from(
    { length: 2 ** ids.length },
    (_, bits) => new Set(ids.filter((_id, i) => (bits >> i) & 1)),
  );
}

const ids = ["a", "b", "c", "d", "e"];
const ends = fc.constantFrom(...ids, ...ids, "group:any", "group:all", "scenario:J");

const cases: fc.Arbitrary<Given> = fc
  .record({
    kinds: fc.array(
      fc.record({
        kind: fc.constantFrom("overrides", "depends_all", "depends_any", "entails"),
        from: ends,
        to: fc.uniqueArray(ends, { minLength: 1, maxLength: 2 }),
      }),
      { maxLength: 6 },
    ),
    any: fc.subarray(ids, { minLength: 1 }),
    all: fc.subarray(ids, { minLength: 1 }),
    matched: fc.subarray(ids),
    scenarios: fc.subarray(["J"]),
    scoped: fc.boolean(),
  })
  .map(({ kinds, any, all, matched, scenarios, scoped }) => ({
    rules: Object.fromEntries(ids.map((id) => [id, 0])),
    groups: { any, all },
    allOf: ["all"],
    relations: kinds,
    scenarios,
    ...(scoped && { scoped: { e: "J" } }),
    // A rule of a scenario only matches inside of it.
    matched: matched.filter((id) => !(scoped && id === "e" && scenarios.length === 0)),
  }));

describe("relations, against a model by brute force", { timeout: 60_000 }, () => {
  it("give the one account of the whole wherever there is just one", () => {
    fc.assert(
      fc.property(cases, (given) => {
        const [only, ...others] = accounts(given);
        if (!only || others.length > 0) return;
        const { active } = resolved(given);
        const expected = [...only.active].filter((id) => id !== "J").sort();
        expect([...active].sort()).toEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  it("always have an account of each rule that matched, and one answer", () => {
    fc.assert(
      fc.property(cases, (given) => {
        const answer = resolved(given);
        expect(resolved(given)).toEqual(answer);
        expect(new Set(answer.active).size).toBe(answer.active.length);
        const told = new Map(answer.acts.map(({ target, effect }) => [target, effect]));
        for (const id of given.matched)
          expect(answer.active.includes(id) || told.get(id) === "dropped").toBe(true);
        for (const id of answer.active)
          expect(given.matched.includes(id) || told.get(id) === "added").toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});
