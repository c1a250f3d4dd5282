import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RelationAnswer } from "./relations.ts";
import { type RelationCase, resolved } from "./testing-relations.ts";

// The file is ours and has this shape; a wrong one fails the tests.
const cases = JSON.parse(
  readFileSync(new URL("./relations.cases.json", import.meta.url), "utf8"),
) as readonly RelationCase[];

const dropped = ({ acts }: RelationAnswer) =>
  [
    ...new Set(acts.filter(({ effect }) => effect === "dropped").map(({ target }) => target)),
  ].sort();

describe("relations", () => {
  it.each(cases.map((given) => [given.title, given] as const))("%s", (_title, given) => {
    const answer = resolved(given);
    expect([...answer.active].sort()).toEqual([...given.active].sort());
    expect(dropped(answer)).toEqual([...(given.dropped ?? [])].sort());
    expect(answer.active).toEqual(given.order ?? answer.active);
  });

  it("reinstate a rule when what overrode it loses its own dependency", () => {
    const answer = resolved({
      rules: { w: 0, b: 0, x: 0, c: 0 },
      relations: [
        { kind: "overrides", from: "w", to: ["b"] },
        { kind: "depends_all", from: "x", to: ["b"] },
        { kind: "overrides", from: "x", to: ["c"] },
      ],
      matched: ["w", "b", "x", "c"],
    });
    expect(answer.active).toEqual(["c", "w"]);
  });

  it("take back what an overridden rule would have brought in", () => {
    const answer = resolved({
      rules: { a: 0, b: 0, c: 0 },
      relations: [
        { kind: "entails", from: "b", to: ["c"] },
        { kind: "overrides", from: "a", to: ["b"] },
      ],
      matched: ["a", "b"],
    });
    expect(answer.active).toEqual(["a"]);
  });

  it("let a rule be replaced by what it brings in", () => {
    const answer = resolved({
      rules: { a: 0, b: 0 },
      relations: [
        { kind: "entails", from: "a", to: ["b"] },
        { kind: "overrides", from: "b", to: ["a"] },
      ],
      matched: ["a"],
    });
    expect(answer.active).toEqual(["b"]);
  });

  it("never let rules that entail each other hold each other up", () => {
    const answer = resolved({
      rules: { a: 0, b: 0, c: 0 },
      relations: [
        { kind: "entails", from: "a", to: ["b"] },
        { kind: "entails", from: "b", to: ["a"] },
      ],
      matched: ["c"],
    });
    expect(answer.active).toEqual(["c"]);
  });

  it("act through a group of ALL only when every member applies", () => {
    const given = {
      rules: { a: 0, b: 0, c: 0 },
      groups: { g: ["a", "b"] },
      allOf: ["g"],
      relations: [{ kind: "overrides", from: "group:g", to: ["c"] }],
    };
    expect(resolved({ ...given, matched: ["a", "c"] }).active).toEqual(["a", "c"]);
    expect(resolved({ ...given, matched: ["a", "b", "c"] }).active).toEqual(["a", "b"]);
  });

  it("silence the rules of a scenario that is overridden", () => {
    const answer = resolved({
      rules: { stop: 0, inside: 0 },
      scoped: { inside: "J" },
      relations: [{ kind: "overrides", from: "stop", to: ["scenario:J"] }],
      matched: ["stop", "inside"],
      scenarios: ["J"],
    });
    expect(answer.active).toEqual(["stop"]);
    expect(answer.scenariosDropped).toEqual(["J"]);
    expect(dropped(answer)).toEqual(["J", "inside"]);
  });

  it("bring in a scenario", () => {
    const answer = resolved({
      rules: { a: 0 },
      relations: [{ kind: "entails", from: "a", to: ["scenario:J"] }],
      matched: ["a"],
    });
    expect(answer.scenariosAdded).toEqual(["J"]);
    expect(answer.active).toEqual(["a"]);
  });

  describe("that disambiguate", () => {
    const given = {
      rules: { unclear: 0, snake: 0, turtle: 0, ticket: 0 },
      relations: [
        { kind: "disambiguates", from: "unclear", to: ["snake", "turtle"] },
        { kind: "entails", from: "snake", to: ["ticket"] },
      ],
    };
    it("ask which when several are plausible, and hold them back", () => {
      const answer = resolved({ ...given, matched: ["unclear", "snake", "turtle"] });
      expect(answer.choice).toEqual({ asks: "unclear", among: ["snake", "turtle"] });
      expect(answer.active).toEqual(["unclear"]);
    });
    it("step aside when only one is", () => {
      const answer = resolved({ ...given, matched: ["unclear", "turtle"] });
      expect(answer.choice).toBeUndefined();
      expect(answer.active).toEqual(["turtle"]);
    });
    it("say nothing when their own condition does not hold", () => {
      const answer = resolved({ ...given, matched: ["snake", "turtle"] });
      expect(answer.active).toEqual(["snake", "ticket", "turtle"]);
    });
  });

  it("give the same answer in whatever order they are written, and a stable one", () => {
    const ids = ["a", "b", "c", "d", "e"];
    const relation = fc.record({
      kind: fc.constantFrom("overrides", "depends_all", "depends_any", "entails"),
      from: fc.constantFrom(...ids),
      to: fc.uniqueArray(fc.constantFrom(...ids), { minLength: 1, maxLength: 2 }),
    });
    const rules = Object.fromEntries(ids.map((id) => [id, 0]));
    fc.assert(
      fc.property(
        fc
          .array(relation, { maxLength: 8 })
          .chain((relations) =>
            fc.tuple(
              fc.constant(relations),
              fc.shuffledSubarray(relations, { minLength: relations.length }),
            ),
          ),
        fc.subarray(ids),
        ([relations, shuffled], matched) => {
          const answer = resolved({ rules, relations, matched });
          expect(resolved({ rules, relations: shuffled, matched }).active).toEqual(answer.active);
          const brought = answer.acts.filter(({ effect }) => effect === "added");
          for (const id of answer.active)
            expect(matched.includes(id) || brought.some(({ target }) => target === id)).toBe(true);
          for (const id of matched)
            expect(answer.active.includes(id) || dropped(answer).includes(id)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});
