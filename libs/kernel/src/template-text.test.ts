import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fault } from "./fault.ts";
import { filledIn, isTemplateName, namesIn, parseTemplate, segmentsOf } from "./template-text.ts";

describe("template text", () => {
  it("splits at its names", () => {
    expect(parseTemplate("Hi {customer.name}!")).toEqual([
      { kind: "text", text: "Hi " },
      { kind: "name", name: "customer.name" },
      { kind: "text", text: "!" },
    ]);
  });
  it("reads doubled braces as literal ones", () => {
    expect(parseTemplate("{{x}}")).toEqual([{ kind: "text", text: "{x}" }]);
  });
  it("says where a brace is wrong", () => {
    expect(() => parseTemplate("a {b")).toThrow(/character 3 is never closed/);
    expect(() => parseTemplate("a } b")).toThrow(/character 3 closes nothing/);
    expect(() => parseTemplate("a {b c}")).toThrow(/is not a name/);
  });
  it("names each name once", () => {
    expect(namesIn("{a} {b} {a}")).toEqual(["a", "b"]);
  });
  it("takes a name apart", () => {
    const segments = ["order", "items", "0", "title"];
    expect(segmentsOf("order.items[0].title")).toEqual(segments);
    expect(segmentsOf("order.items.0.title")).toEqual(segments);
    expect(namesIn("{order.items.0.title}")).toEqual(["order.items.0.title"]);
  });
  it("says which names have no value, each once", () => {
    const parts = parseTemplate("{a} {b} {a}!");
    expect(filledIn(parts, (name) => (name === "b" ? "B" : undefined))).toEqual({
      text: " B !",
      unresolved: ["a"],
    });
  });
});

/** Texts in which braces are as frequent as anything else. */
const braces = fc.string({ unit: fc.constantFrom("{", "}", "a", " ", ".", "[0]", "ü", "\n") });
const doubled = (text: string) => text.replaceAll(/[{}]/g, "$&$&");
const segment = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_-]{0,8}$/);
const name = fc
  .tuple(segment, fc.array(fc.oneof(segment, fc.nat({ max: 99 }).map(String)), { maxLength: 3 }))
  .map(([head, rest]) => [head, ...rest].join("."));

describe("any template text", () => {
  it("gives literal braces back as they were before they were doubled", () => {
    fc.assert(
      fc.property(braces, (text) => {
        expect(filledIn(parseTemplate(doubled(text)), () => "?")).toEqual({ text, unresolved: [] });
      }),
    );
  });
  it("never reads a value as a template, whatever is in it", () => {
    fc.assert(
      fc.property(braces, name, braces, braces, (before, key, after, value) => {
        const parts = parseTemplate(`${doubled(before)}{${key}}${doubled(after)}`);
        const { text } = filledIn(parts, () => value);
        expect(text).toBe(`${before}${value}${after}`);
        expect(isTemplateName(key)).toBe(true);
      }),
    );
  });
  it("is either read to its end or refused with the character that is wrong", () => {
    const refusal = (text: string): unknown => {
      try {
        parseTemplate(text);
        return undefined;
      } catch (error) {
        return error;
      }
    };
    const told = (error: unknown) =>
      error === undefined ||
      (error instanceof Fault &&
        error.reason === "TEMPLATE_SYNTAX" &&
        /at character \d+/.test(error.message));
    fc.assert(fc.property(braces, (text) => told(refusal(text))));
  });
});
