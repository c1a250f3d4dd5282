import { describe, expect, it } from "vitest";
import { fitted, isoDate } from "./coercion.ts";

describe("a value written as text", () => {
  it("becomes a number where its digits can be read in one way only", () => {
    const number = { type: "number" };
    for (const [text, value] of [
      ["1,500", 1500],
      ["$1500", 1500],
      ["1,234,567.50 €", 1234567.5],
      [" -3 ", -3],
      ["1,5", "1,5"],
      ["1.500,00", "1.500,00"],
      ["12 or 13", "12 or 13"],
      ["0x10", "0x10"],
      ["", ""],
    ] as const)
      expect(fitted(text, number), text).toBe(value);
    expect(fitted("1,500", { type: ["integer", "null"] })).toBe(1500);
  });
  it("becomes the truth value or the option that it means", () => {
    expect(fitted("Yep", { type: "boolean" })).toBe(true);
    expect(fitted("nope", { type: "boolean" })).toBe(false);
    expect(fitted("maybe", { type: "boolean" })).toBe("maybe");
    expect(fitted("refund", { enum: ["Refund", "Exchange"] })).toBe("Refund");
  });
  it("stays text where text is asked for, leading zeros and all", () => {
    expect(fitted("007", { type: "string" })).toBe("007");
    expect(fitted(1234, { type: "string" })).toBe("1234");
    expect(fitted(true, { type: ["string", "null"] })).toBe("true");
    expect(fitted(1234, { type: ["string", "integer"] })).toBe(1234);
    expect(fitted(1234, {})).toBe(1234);
  });
  it("becomes a day where its words name one", () => {
    const date = { type: "string", format: "date" };
    for (const [text, day] of [
      ["January 17th, 2025", "2025-01-17"],
      ["the 3rd of Sept 2025", "2025-09-03"],
      ["17/01/2025", "2025-01-17"],
      ["01/17/2025", "2025-01-17"],
      ["2025/1/7", "2025-01-07"],
    ] as const)
      expect(fitted(text, date), text).toBe(day);
    for (const text of ["01/02/2025", "tomorrow", "31 February 2025", "May", "17 Foo 2025"])
      expect(isoDate(text), text).toBeUndefined();
  });
});
