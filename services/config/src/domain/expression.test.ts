import { describe, expect, it } from "vitest";
import { readExpression } from "./expression.ts";
import { patternError } from "./pattern.ts";

const names = (text: string) =>
  readExpression(text).names.map(({ root, key }) => (key === undefined ? root : `${root}.${key}`));

describe("an expression", () => {
  it("tells the names that it needs, with the keys taken of them", () => {
    expect(names("session.turn > 3 && 'x' in profile && results['a-b'].ok")).toEqual([
      "session.turn",
      "profile",
      "results.a-b",
    ]);
  });

  it("keeps names that its macros bind to itself", () => {
    expect(
      names("fields.items.exists(i, i.price > variables.limit) && has(profile.email)"),
    ).toEqual(["fields.items", "variables.limit", "profile.email"]);
    expect(names("{'a': message.text}.all(k, k == other)")).toEqual(["message.text", "other"]);
  });

  it("says why it does not compile", () => {
    expect(readExpression("a ==").error).toContain("1:3");
    expect(readExpression("(".repeat(5000)).error).toBeDefined();
  });

  it("is refused when it is too large to be evaluated in every turn", () => {
    const nested = (depth: number): string =>
      depth === 0 ? "true" : `[1].all(x${depth}, ${nested(depth - 1)})`;
    expect(readExpression(nested(2)).excess).toBeUndefined();
    expect(readExpression(nested(3)).excess).toBe("nests macros 3 deep; at most 2 are evaluated");
    expect(readExpression(`[${"1,".repeat(990)}1].size() > 0`).excess).toBeUndefined();
    expect(readExpression(`[${"1,".repeat(1_000)}1].size() > 0`).excess).toContain("at most 1000");
  });

  it("tells functions that CEL does not have", () => {
    expect(
      readExpression("size(a) > 1 && a.trim() != '' && a.matches('x') && foo(a) && a.bar()"),
    ).toMatchObject({
      unknownFunctions: ["foo", "bar"],
    });
  });
});

describe("a pattern", () => {
  it("is RE2, without what makes matching slow", () => {
    expect(patternError("(?i)^a{2,3}\\b$")).toBeUndefined();
    expect(patternError("(a")).toBeDefined();
    expect(patternError("(?=a)")).toBeDefined();
    expect(patternError("(a)\\1")).toBeDefined();
  });
});
