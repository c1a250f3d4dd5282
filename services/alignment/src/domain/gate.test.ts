import { create } from "@bufbuild/protobuf";
import { RuleSchema } from "@soldier/proto/config/v1/rule";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checked, type Constraint } from "./checks.ts";
import { expressions } from "./expressions.ts";
import { Gate } from "./gate.ts";

const rule = create(RuleSchema, { id: "r" });
const never = (demand: string): Constraint => ({ rule, kind: "must_not_include", demand });

function gateFor(constraints: readonly Constraint[]) {
  const released: string[] = [];
  const evaluated = expressions();
  const gate = new Gate(
    constraints,
    (constraint, text) => checked(constraint, text, evaluated, {}),
    (piece) => released.push(piece),
  );
  return { gate, released };
}

describe("a gate", () => {
  it("lets everything through at once when nothing is demanded", () => {
    const { gate, released } = gateFor([]);
    gate.write("Hel");
    gate.write("lo");
    expect(released).toEqual(["Hel", "lo"]);
  });
  it("lets whole sentences through", () => {
    const { gate, released } = gateFor([never("free")]);
    for (const piece of ["It co", "sts 3.5", "0 euros. And", " more"]) gate.write(piece);
    expect(released).toEqual(["It costs 3.50 euros. "]);
    gate.open();
    expect(released.join("")).toBe("It costs 3.50 euros. And more");
  });
  it("stops at the sentence that breaks a demand, also across sentences", () => {
    const { gate, released } = gateFor([never("one. two")]);
    expect(gate.write("one. two. three. ")).toBe(false);
    expect(gate.violation?.passed).toBe(false);
    expect(released).toEqual([]); // not even its first half
  });
  it("goes on after what was shown when it is written again", () => {
    const { gate } = gateFor([never("free")]);
    gate.write("Good. All free. ");
    gate.startAgain();
    gate.write("All fair.");
    gate.open();
    expect(gate.shown).toBe("Good. All fair.");
  });
  it("holds everything for what only the whole can keep", () => {
    const { gate, released } = gateFor([{ rule, kind: "must_include", demand: "no advice" }]);
    gate.write("One. Two. Three. ");
    expect(released).toEqual([]);
    gate.open();
    expect(released).toHaveLength(1);
  });
  const alphabet = [
    "bad",
    "B",
    "b",
    "ad",
    ". ",
    ".",
    " ",
    "good",
    "\n",
    "\u200b",
    "ａ",
    "\ufeff",
    "!",
  ];
  const texts = fc
    .array(fc.constantFrom(...alphabet), { maxLength: 30 })
    .map((parts) => parts.join(""));
  /** A text in pieces, cut anywhere. */
  const written = fc.tuple(texts, fc.array(fc.nat({ max: 4 }), { maxLength: 40 }));
  const inPieces = ([text, lengths]: readonly [string, readonly number[]]) => {
    const pieces: string[] = [];
    let at = 0;
    for (const length of lengths) pieces.push(text.slice(at, (at += length + 1)));
    return [...pieces, text.slice(at)];
  };
  const plain = (text: string) =>
    text
      .normalize("NFKC")
      .replaceAll(/[\u200b\ufeff]/g, "")
      .toLowerCase()
      .replaceAll(/\s+/g, " ");

  it("never shows what must not be said, nor a part that was cut off it, however it comes", () => {
    const demands = fc.constantFrom("bad", "d. b", "bad. good", "!bad", "good good", " ad");
    fc.assert(
      fc.property(written, demands, (text, demand) => {
        const { gate, released } = gateFor([never(demand)]);
        for (const piece of inPieces(text)) if (!gate.write(piece)) break;
        const shown = released.join("");
        expect(text[0].startsWith(shown)).toBe(true);
        expect(shown.toLowerCase()).not.toContain(demand);
        expect(plain(shown)).not.toContain(demand);
        // Where the whole breaks the demand, what was shown does not end within it.
        const at = plain(text[0]).indexOf(demand);
        expect(
          at < 0 || plain(shown).length <= at || !plain(text[0]).startsWith(plain(shown)),
        ).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
  it("never shows what a pattern forbids, nor its first half", () => {
    const patterns = fc.constantFrom(
      "(?i)bad",
      "b[a-z]d",
      "bad\\.? good",
      "d\\.\\s+b",
      "good$",
      "\\bbad\\b",
    );
    fc.assert(
      fc.property(written, patterns, (text, source) => {
        const forbidden = { rule, kind: "must_not_match", demand: source } as const;
        const { gate, released } = gateFor([forbidden]);
        for (const piece of inPieces(text)) if (!gate.write(piece)) break;
        const shown = released.join("");
        const match = new RegExp(
          source.replace("(?i)", ""),
          source.startsWith("(?i)") ? "i" : "",
        ).exec(text[0]);
        expect(match === null || shown.length <= match.index).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
