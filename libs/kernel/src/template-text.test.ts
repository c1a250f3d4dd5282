import { describe, expect, it } from "vitest";
import { namesIn, parseTemplate, segmentsOf } from "./template-text.ts";

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
    expect(segmentsOf("order.items[0].title")).toEqual(["order", "items", "0", "title"]);
  });
});
