import { Fault } from "@soldier/kernel/fault";
import { describe, expect, it } from "vitest";
import { firstWrongOffset, parseJson } from "./json-text.ts";

describe("text that is no JSON", () => {
  it.each([
    ["", "line 1, column 1: it ends too early"],
    ['{"a": 1', "line 1, column 8: it ends too early"],
    ['{"a": 1,}', "line 1, column 9"],
    ['{"a" 1}', "line 1, column 6"],
    ["[1 2]", "line 1, column 4"],
    ["[1,\n 2,\n nope]", "line 3, column 2"],
    ['{"a": "b"} x', "line 1, column 12"],
    ["{a: 1}", "line 1, column 2"],
    ["[1}", "line 1, column 3"],
    ['["a\nb"]', "line 1, column 2"],
    ["01", "line 1, column 2"],
  ])("%j is refused at %s", (text, place) => {
    const error = refusal(text);
    expect([error.reason, error.message]).toEqual([
      "INVALID_JSON",
      `the body is no JSON, at ${place}`,
    ]);
  });

  it("is not repeated in the refusal", () => {
    const { message, cause, metadata } = refusal('{"secret": hunter2}');
    expect(JSON.stringify([message, metadata, String(cause)])).not.toContain("hunter2");
  });

  it("may be long or deep", () => {
    expect(firstWrongOffset("[".repeat(1_000_000))).toBe(1_000_000);
    expect(firstWrongOffset(`["${"x".repeat(4_000_000)}`)).toBe(1);
    expect(firstWrongOffset(`["${"x".repeat(4_000_000)}"`)).toBe(4_000_003);
  });
});

it("JSON is read as it is", () => {
  const value = { a: [1, -2.5e3, true, null, 'x"\\\u00e9'], b: {} };
  expect(parseJson(JSON.stringify(value))).toEqual(value);
});

function refusal(text: string): Fault {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof Fault) return error;
  }
  return expect.fail("should have been refused");
}
