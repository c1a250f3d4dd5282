import fc from "fast-check";
import { expect, it } from "vitest";
import { endsOf, type FactsAround, walkFrom } from "./graph-walk.ts";
import type { Fact } from "./facts.ts";

const fact = (subject: string, object: string): Fact => ({
  factId: `${subject}-${object}`,
  slot: "",
  inverseSlot: undefined,
  subject,
  predicate: "knows",
  value: { kind: "entity", id: object },
  from: 0,
  to: Infinity,
  claimIds: ["c"],
  reason: undefined,
  disputed: false,
  authority: "user",
  confirmedAt: 0,
  attributes: {},
});

const among =
  (facts: readonly Fact[]): FactsAround<Fact> =>
  async (frontier, behind, limit) =>
    facts
      .filter((each) => endsOf(each).some((end) => frontier.includes(end)))
      .filter((each) => !endsOf(each).some((end) => behind.includes(end)))
      .slice(0, limit);

const limits = { depthMax: 20, edgesMax: 1_000 };

/** By relaxing every edge until nothing changes. */
function shortest(facts: readonly Fact[], start: string): ReadonlyMap<string, number> {
  const found = new Map([[start, 0]]);
  for (let changed = true; changed;) {
    changed = false;
    for (const [a = "", b = ""] of facts.flatMap((each) => [
      endsOf(each),
      endsOf(each).toReversed(),
    ])) {
      const way = (found.get(a) ?? Infinity) + 1;
      if (way >= (found.get(b) ?? Infinity)) continue;
      found.set(b, way);
      changed = true;
    }
  }
  return found;
}

const someFacts = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 8 })), {
    maxLength: 14,
    selector: ([a, b]) => `${a}-${b}`,
  })
  .map((pairs) => pairs.filter(([a, b]) => a !== b).map(([a, b]) => fact(`n${a}`, `n${b}`)));

it("comes to everything by the shortest way, and to every fact on the way once", async () => {
  await fc.assert(
    fc.asyncProperty(someFacts, async (facts) => {
      const { edges, distances } = await walkFrom("n0", among(facts), limits);
      const wanted = shortest(facts, "n0");
      expect(Object.fromEntries(distances)).toEqual(Object.fromEntries(wanted));
      const near = facts.filter((each) => endsOf(each).some((end) => wanted.has(end)));
      expect(edges.map((edge) => edge.fact.factId).toSorted()).toEqual(
        near.map(({ factId }) => factId).toSorted(),
      );
      for (const { fact: of, depth } of edges)
        expect(depth).toBe(1 + Math.min(...endsOf(of).map((end) => wanted.get(end) ?? Infinity)));
    }),
  );
});

it("keeps to its limits, and takes what is nearest", async () => {
  const chain = ["b", "c", "d", "e"].map((to, i) => fact("abcd".charAt(i), to));
  const deep = await walkFrom("a", among(chain), { ...limits, depthMax: 2 });
  expect(deep.edges.map(({ fact: { factId }, depth }) => [factId, depth])).toEqual([
    ["a-b", 1],
    ["b-c", 2],
  ]);
  const few = await walkFrom("a", among([...chain, fact("x", "a")]), { ...limits, edgesMax: 2 });
  expect(few.edges.map(({ depth }) => depth)).toEqual([1, 1]);
  const asked: string[] = [];
  const noting: FactsAround<Fact> = (frontier, ...rest) => {
    asked.push(...frontier);
    return among(chain)(frontier, ...rest);
  };
  await walkFrom("a", noting, { ...limits, wanted: new Set(["c"]) });
  expect(asked).toEqual(["a", "b"]);
});
