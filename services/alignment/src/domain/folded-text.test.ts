import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { maySay, says } from "./folded-text.ts";

describe("a text says a part", () => {
  it.each([
    ["It is FREE.", "free"],
    ["It is fr\u200bee.", "free"],
    ["It is ｆｒｅｅ.", "free"],
    ["It is f\u0336r\u0336e\u0336e\u0336.", "free"],
    ["It is 𝐟𝐫𝐞𝐞.", "free"],
    ["free  of\n charge", "free of charge"],
    ["that’s it", "That's it"],
    ["caf\u0065\u0301", "CAFÉ"],
    ["x\u00adyz", "xyz"],
  ])("in %j: %j", (text, part) => {
    expect(says(text, part)).toBe(true);
  });

  it("not where it only looks near it", () => {
    expect(says("freight", "free")).toBe(false);
    expect(says("résumé", "resume")).toBe(false);
  });

  it("and may come to say it wherever its end begins it", () => {
    expect(maySay("We are one. ", "one. two")).toBe(true);
    expect(maySay("We are done. ", "free of charge")).toBe(false);
    const words = fc.string({ unit: fc.constantFrom("a", "b", " ", "."), maxLength: 8 });
    fc.assert(
      fc.property(
        words,
        words,
        fc.string({ unit: fc.constantFrom("a", "b", " ", "."), minLength: 1 }),
        (before, after, part) => {
          const across = says(before + after, part) && !says(before, part) && !says(after, part);
          expect(!across || maySay(before, part)).toBe(true);
        },
      ),
    );
  });
});
