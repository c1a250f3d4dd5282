import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { rowFor, type Situation, table } from "./navigation-table.ts";

/** Every value of every fact. */
const facts: { readonly [Fact in keyof Situation]: readonly Situation[Fact][] } = {
  place: ["nowhere", "scenario-gone", "step-gone", "step"],
  overridden: [false, true],
  correction: ["none", "back", "loop", "checkpoint"],
  elsewhere: ["none", "told", "scored"],
  edge: ["none", "judgement", "message", "guard", "default"],
  leaving: [false, true],
  heard: [false, true],
  terminal: [false, true],
  ways: [false, true],
  lost: [false, true],
  findable: [false, true],
  entry: [false, true],
};

function* situations(
  names = Object.keys(facts) as readonly (keyof Situation)[],
): Generator<Situation> {
  const [first, ...rest] = names;
  // All facts are set once the names are used up.
  if (first === undefined) return yield {} as Situation;
  for (const others of situations(rest))
    for (const value of facts[first]) yield { ...others, [first]: value };
}

const plain: Situation = {
  place: "step",
  overridden: false,
  correction: "none",
  elsewhere: "none",
  edge: "none",
  leaving: false,
  heard: true,
  terminal: false,
  ways: true,
  lost: false,
  findable: false,
  entry: false,
};

describe("the table of moves", () => {
  it("has one move with a reason for every situation, and needs every row for it", () => {
    const used = new Set<string>();
    let count = 0;
    for (const situation of situations()) {
      const row = rowFor(situation);
      expect(row.because).not.toBe("");
      used.add(row.because);
      count++;
    }
    expect(count).toBe(4 * 4 * 3 * 5 * 2 ** 8);
    expect(used).toEqual(new Set(table.map(({ because }) => because)));
  });

  it("moves out of a scenario only from inside, into one only from outside", () => {
    for (const situation of situations()) {
      const { move } = rowFor(situation);
      const outside = situation.place === "nowhere";
      expect(move === "start" || move === "none").toBe(outside);
      const needs: Partial<Record<typeof move, boolean>> = {
        start: situation.entry,
        follow: situation.edge !== "none",
        find: situation.findable,
        return: situation.correction === "back",
        leave: situation.leaving,
        stay: situation.place === "step",
      };
      expect(needs[move] ?? true).toBe(true);
    }
  });

  it.each<[string, Partial<Situation>, string]>([
    ["a message's edge before the wish to stop", { edge: "message", leaving: true }, "follow"],
    [
      "the wish to stop before an edge that waits for nothing",
      { edge: "default", leaving: true },
      "leave",
    ],
    ["a changed answer before an edge", { correction: "back", edge: "judgement" }, "return"],
    [
      "a checkpoint before everything that is said",
      { correction: "checkpoint", edge: "judgement", leaving: true },
      "stay",
    ],
    [
      "a model's word for another scenario before an edge",
      { elsewhere: "told", edge: "message" },
      "exit",
    ],
    [
      "a clear other scenario before an edge by score",
      { elsewhere: "scored", edge: "message" },
      "exit",
    ],
    [
      "a model's edge before another scenario by score",
      { elsewhere: "scored", edge: "judgement" },
      "follow",
    ],
    ["the end at a terminal step when no edge is taken", { terminal: true }, "exit"],
    ["an edge out of a terminal step", { terminal: true, edge: "message" }, "follow"],
    ["silence at a terminal step when nothing was said", { terminal: true, heard: false }, "stay"],
    ["a step found again", { lost: true, findable: true }, "find"],
    ["the exit of one who is lost", { lost: true }, "exit"],
    [
      "no move while a relation overrides the scenario",
      { overridden: true, edge: "judgement", leaving: true },
      "stay",
    ],
    ["a stay at a step without edges", { ways: false }, "stay"],
    ["a start", { place: "nowhere", entry: true }, "start"],
  ])("puts %s", (_what, facts_, move) => {
    expect(rowFor({ ...plain, ...facts_ }).move).toBe(move);
  });

  it("is what the README shows", () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const shown = [...readme.matchAll(/^\| *\d+ *\| (.*?) *\| (.*?) *\| (.*?) *\|$/gm)].map(
      ([, when, move, because]) => ({ when, move, because }),
    );
    const rows = table.map(({ when, move, because }) => ({
      when:
        Object.entries(when)
          .map(([fact, values]) => `${fact} ${(values as readonly unknown[]).join(" or ")}`)
          .join(", ") || "anything else",
      move,
      because,
    }));
    expect(shown).toEqual(rows);
  });
});
