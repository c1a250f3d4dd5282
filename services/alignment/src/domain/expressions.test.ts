import { describe, expect, it } from "vitest";
import { expressions } from "./expressions.ts";

const evaluate = (text: string, bindings = {}) => expressions().evaluate(text, bindings);
const tens = "[0,1,2,3,4,5,6,7,8,9]";

describe("an expression", () => {
  it("is true, false, or false with the reason", () => {
    expect(evaluate("")).toEqual({ holds: true });
    expect(evaluate("fields.amount <= 3000.0", { fields: { amount: 5 } })).toEqual({ holds: true });
    expect(evaluate("'a b'.split(' ').exists(x, x == 'b')")).toEqual({ holds: true });
    expect(evaluate("fields.x == 1", { fields: {} }).error).toContain("x");
    expect(evaluate("1 + 1")).toMatchObject({ error: "is not true or false" });
    expect(evaluate("a ==").holds).toBe(false);
  });
  it.each([
    [
      `${tens}.map(a, ${tens}.map(b, ${tens}.map(c, ${tens}.map(d, ${tens}.map(e, a * e))))).size() > 0`,
    ],
    [`${tens}.all(a, ${tens}.all(b, ${tens}.all(c, ${tens}.all(d, ${tens}.all(e, a + b >= 0)))))`],
    [`'${"a".repeat(200)}'${".replace('a', 'aaaaaaaaaaaaaaaaaaaa')".repeat(8)}.size() > 0`],
    [`message.text.replace('', message.text).size() > 0`],
  ])("that takes long is given up: %s", (text) => {
    const startedMs = performance.now();
    const verdict = evaluate(text, { message: { text: "long ".repeat(5_000) } });
    expect(verdict).toEqual({ holds: false, error: "takes too long" });
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    // The next one has its own budget.
    expect(evaluate("1 < 2")).toEqual({ holds: true });
  });
  it("matches patterns in linear time, and knows only those of RE2", () => {
    const text = `${"a".repeat(5_000)}!`;
    expect(evaluate("t.matches('^(a|aa)+$')", { t: text })).toEqual({ holds: false });
    expect(evaluate("t.matches('(?=a)')", { t: text }).error).toBeDefined();
  });
});
