import { describe, expect, it } from "vitest";
import { brokenSchema, schemaProblem } from "./tool-schema.ts";

describe("a schema", () => {
  it("holds each property to its own pattern", () => {
    const schema = {
      properties: { a: { pattern: "^L-\\d+$" }, b: { pattern: "^[a-z]+$" }, c: { pattern: "^$" } },
    };
    expect(schemaProblem(schema, { a: "L-17", b: "abc", c: "" })).toBeUndefined();
    expect(schemaProblem(schema, { a: "abc" })).toContain("/a must match");
    expect(schemaProblem(schema, { b: "L-17" })).toContain("/b must match");
    expect(schemaProblem({ pattern: "^x$" }, "L-17")).toContain("must match");
  });

  it("takes linear time for any value", () => {
    const schema = { type: "string", pattern: "^(a+)+$" };
    expect(schemaProblem(schema, `${"a".repeat(50_000)}!`)).toContain("must match");
  });

  it("that makes no sense says why", () => {
    expect(brokenSchema({ type: "object" })).toBeUndefined();
    expect(brokenSchema({ type: "objekt" })).toContain("type");
    expect(brokenSchema({ pattern: "(?=a)" })).toContain("RE2");
    expect(schemaProblem({ type: "objekt" }, {})).toContain("the schema itself is wrong");
  });
});
