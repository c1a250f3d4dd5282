import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type CheckSchema, RuleSchema } from "@soldier/proto/config/v1/rule";
import { describe, expect, it } from "vitest";
import { checked, constraintsOf } from "./checks.ts";
import { expressions } from "./expressions.ts";
import { someValues } from "./testing.ts";

function check(kind: MessageInitShape<typeof CheckSchema>["kind"], text: string): string {
  const rule = create(RuleSchema, { checks: [{ kind: kind ?? { case: undefined } }] });
  const known = someValues({ variables: { firm: "Acme" } });
  const [constraint] = constraintsOf([rule], known);
  if (!constraint) return "no constraint";
  const { passed, reason } = checked(constraint, text, expressions(), {
    variables: known.variables,
  });
  return passed ? "passed" : reason;
}

describe("a check", () => {
  it("looks for words whatever their case, spacing and apostrophes", () => {
    expect(check({ case: "mustInclude", value: "we can't" }, "Sorry, We  can’t.")).toBe("passed");
    expect(check({ case: "mustInclude", value: "by {firm}" }, "Brought BY ACME")).toBe("passed");
    expect(check({ case: "mustInclude", value: "by {other}" }, "by Acme")).toContain("lacks");
    expect(check({ case: "mustNotInclude", value: "free" }, "It is FREE")).toBe('contains "free"');
  });
  it("matches RE2 patterns, and fails on what is none", () => {
    expect(check({ case: "mustMatch", value: "(?i)ref-\\d+" }, "REF-12")).toBe("passed");
    expect(check({ case: "mustNotMatch", value: "\\d{16}" }, "4111111111111111")).toContain(
      "matches",
    );
    expect(check({ case: "mustNotMatch", value: "(" }, "x")).toContain("matches");
    expect(check({ case: "mustMatch", value: "(" }, "x")).toContain("does not match");
  });
  it("takes no time for a pattern that others drown in", () => {
    const startedMs = performance.now();
    check({ case: "mustMatch", value: "(a+)+$" }, `${"a".repeat(5_000)}b`);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
  it("counts characters as people do", () => {
    expect(check({ case: "lengthMax", value: 2 }, "👍👍")).toBe("passed");
    expect(check({ case: "lengthMax", value: 2 }, "abc")).toBe(
      "has 3 characters, at most 2 allowed",
    );
  });
  it("evaluates expressions over the reply; an error is a failure", () => {
    expect(
      check({ case: "expression", value: "size(reply) < 5 && variables.firm == 'Acme'" }, "abc"),
    ).toBe("passed");
    expect(check({ case: "expression", value: "variables.nothing == 1" }, "abc")).toContain(
      "not found",
    );
  });
  it("of a hard constraint without checks is its action, for a judge", () => {
    const rule = create(RuleSchema, { hardConstraint: true, action: "Promise nothing." });
    expect(constraintsOf([rule], someValues())).toMatchObject([
      { kind: "judge", demand: "Promise nothing." },
    ]);
    expect(constraintsOf([{ ...rule, hardConstraint: false }], someValues())).toEqual([]);
  });
});
