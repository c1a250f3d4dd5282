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
    expect(released).toEqual(["one. "]);
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
  it("never shows a text that breaks a demand, however it comes in pieces", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("bad", "b", "ad", ". ", "good ", "\n")), (pieces) => {
        const { gate, released } = gateFor([never("bad")]);
        for (const piece of pieces) if (!gate.write(piece)) break;
        expect(released.join("")).not.toContain("bad");
        expect(pieces.join("").startsWith(released.join(""))).toBe(true);
      }),
    );
  });
});
