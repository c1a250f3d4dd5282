import { describe, expect, it } from "vitest";
import { usualStem } from "./irregular-forms.ts";
import { tokenize } from "./tokenize.ts";

describe("irregular forms", () => {
  it("are brought to their usual one, as a question has it", () => {
    const stems = (text: string) => tokenize(text).map(usualStem);
    expect(stems("went bought children wives")).toEqual(stems("go buy child wife"));
  });
  it("leave every other word as it is", () => {
    expect(["parcel", "refund", "über", ""].map(usualStem)).toEqual([
      "parcel",
      "refund",
      "über",
      "",
    ]);
  });
});
