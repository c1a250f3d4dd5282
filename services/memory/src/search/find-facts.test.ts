import { expect, it } from "vitest";
import { nameGrams } from "./find-facts.ts";

it("takes whatever in a question may be a name, as names are compared", () => {
  expect(nameGrams("Does Ben's  ACME Corp. pay?")).toContain("acme corp");
  expect(nameGrams("Does Ben's  ACME Corp. pay?")).toContain("ben");
  expect(nameGrams("“Mary Anne van Clarke” (again)")).toContain("mary anne van clarke");
  expect(nameGrams("?!")).toEqual([]);
  expect(nameGrams("a b c d e")).not.toContain("a b c d e");
  expect(nameGrams("x ".repeat(10_000)).length).toBeLessThan(500);
});
