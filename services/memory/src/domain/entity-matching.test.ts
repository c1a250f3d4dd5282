import { describe, expect, it } from "vitest";
import { type Candidate, decideEntity, entityIdOf, likelyPairs } from "./entity-matching.ts";

const entity = (
  id: string,
  name: string,
  type: string,
  over: Partial<Candidate> = {},
): Candidate => ({
  id,
  canonicalId: id,
  name,
  type,
  aliases: [],
  ...over,
});

const all = [
  entity("acme", "Acme Corporation", "organisation", { aliases: ["Acme"] }),
  entity("j1", "John Smith", "person"),
  entity("j2", "John  smith", "person"),
  entity("mary", "Mary-Anne Clarke", "person"),
  entity("kate", "Katherine Johnson", "person"),
  entity("apple", "Apple", "org"),
  entity("north", "Northwind Traders International", "organisation"),
];
const decide = (name: string, type: string) => decideEntity({ name, type }, all);

describe("a name", () => {
  it("stands for the entity that has it, however it is written", () => {
    expect(decide("  ACME   corporation ", "org")).toMatchObject({
      kind: "match",
      entityId: "acme",
    });
    expect(decide("acme", "company")).toEqual({ kind: "match", entityId: "acme", by: "alias" });
    expect(decide("Mary Anne Clarke", "person")).toMatchObject({ entityId: "mary", by: "name" });
  });
  it("is ambiguous when several have it, unless they were merged", () => {
    expect(decide("John Smith", "person")).toEqual({ kind: "ambiguous", entityIds: ["j1", "j2"] });
    const merged = all.map((one) => (one.id === "j2" ? { ...one, canonicalId: "j1" } : one));
    expect(decideEntity({ name: "John Smith", type: "person" }, merged)).toMatchObject({
      kind: "match",
      entityId: "j1",
    });
  });
  it("of almost the same letters is one of a long name, never of people", () => {
    expect(decide("Northwind Traders Internationa", "organisation")).toMatchObject({
      entityId: "north",
      by: "likeness",
    });
    expect(decide("Katherin Johnson", "person")).toMatchObject({
      kind: "new",
      suggestions: [{ entityId: "kate" }],
    });
    expect(decide("Appl", "org").kind).toBe("new");
  });
  it("is new for another type", () => {
    expect(decide("Apple", "product").kind).toBe("new");
    expect(decide("Acme Corporation", "person").kind).toBe("new");
  });
  it("that is new has the same id from whoever finds it first", () => {
    expect(entityIdOf("g", "org", "Globex Inc.")).toBe(
      entityIdOf("g", "organisation", " globex inc"),
    );
    expect(entityIdOf("g", "place", "Bath")).not.toBe(entityIdOf("h", "place", "Bath"));
    expect(entityIdOf("g", "person", "Al", true)).not.toBe(entityIdOf("g", "person", "Al"));
  });
});

describe("suggestions", () => {
  it("are pairs of one type that are not merged, the likeliest first", () => {
    const pairs = likelyPairs([...all, entity("k2", "Catherine Johnson", "person")], 10);
    expect(pairs.map(({ a, b }) => [a.id, b.id])).toEqual([
      ["j1", "j2"],
      ["kate", "k2"],
    ]);
    const merged = all.map((one) => (one.id === "j2" ? { ...one, canonicalId: "j1" } : one));
    expect(likelyPairs(merged, 10)).toEqual([]);
  });
});
