import { describe, expect, it } from "vitest";
import { bindingsOf } from "./expressions.ts";
import type { KnownValues } from "./known-values.ts";
import { composedReply, exclusiveReply, fallbackReply } from "./reply.ts";
import { nowhere, type Place } from "./scope.ts";
import { templateCandidates } from "./templates.ts";
import { someBundle, someValues } from "./testing.ts";

function candidates(
  templates: readonly Record<string, string | number>[],
  {
    applied = templates.map(({ name }) => String(name)),
    known = someValues(),
    place = nowhere,
    step = [] as string[],
  } = {} as {
    applied?: readonly string[];
    known?: KnownValues;
    place?: Place;
    step?: string[];
  },
) {
  const bundle = someBundle({
    rules: applied.map((name) => ({ id: `r-${name}`, name: `r-${name}`, templateIds: [name] })),
    scenarios: [{ id: "book", steps: [{ id: "s1", templateIds: step }] }],
    templates: templates.map((template) => ({ id: String(template["name"]), ...template })),
  });
  return templateCandidates({
    bundle,
    applied: bundle.rules,
    step: bundle.scenariosById.get("book")?.steps.get("s1"),
    place,
    known,
    bindings: bindingsOf(known),
    unfinished: new Set(),
  });
}

const exclusive = "TEMPLATE_MODE_EXCLUSIVE";

describe("a template", () => {
  it("is filled from tools, variables, profile and fields", () => {
    const known = someValues({
      results: { "get-req": { qualification_info: "5+ years of experience", list: ["a", "b"] } },
      variables: { firm: "Acme" },
      profile: { name: "Ada" },
      fields: { n: 3 },
    });
    const [found] = candidates(
      [
        {
          name: "t",
          text: "{qualification_info} at {firm} for {profile.name}, {n} of {list}; {{x}}",
        },
      ],
      { known },
    );
    expect(found?.text).toBe("5+ years of experience at Acme for Ada, 3 of a, b; {x}");
  });
  it("with a name that has no value is not eligible, and says which", () => {
    const [found] = candidates([{ name: "t", text: "{order_status}", mode: exclusive }]);
    expect(found).toMatchObject({ text: undefined, reason: "unresolved: order_status" });
    expect(exclusiveReply(found ? [found] : [])).toBeUndefined();
  });
  it("with an explicit condition needs it, whatever its text", () => {
    const ready = { name: "ready", text: "Your order is ready.", conditions: "has(results.order)" };
    expect(candidates([ready])[0]?.reason).toBe("its conditions are false");
    const known = someValues({ results: { order: {} } });
    expect(candidates([ready], { known })[0]?.text).toBe("Your order is ready.");
  });
  it("of a scenario is not eligible outside of it, and needs no rule inside", () => {
    const dst = { name: "dst", text: "Where to?", scope: "SCOPE_SCENARIO", scenarioId: "book" };
    expect(candidates([dst], { applied: [] })).toEqual([]);
    const place = { scenarioId: "book", stepId: "s1" };
    expect(candidates([dst], { applied: [], place })[0]?.text).toBe("Where to?");
  });
  it("that nobody names and that has no place or condition is never said", () => {
    expect(candidates([{ name: "ack", text: "Sure thing." }], { applied: [] })).toEqual([]);
  });
});

describe("a reply without a model", () => {
  const nothing = { asks: [], arrived: false, stepAsks: "", stepInstructions: "" };
  it("is an EXCLUSIVE template before all else, the one of highest priority", () => {
    const found = candidates([
      { name: "a", text: "A.", mode: exclusive },
      { name: "b", text: "B.", mode: exclusive, priority: 5 },
    ]);
    expect(exclusiveReply(found)?.text).toBe("B.");
  });
  it("says what rules say, then what the step says, and nothing twice", () => {
    const found = candidates(
      [
        { name: "rule", text: "From 9 to 17." },
        { name: "step", text: "Which order?" },
      ],
      { applied: ["rule"], step: ["step"] },
    );
    expect(composedReply({ ...nothing, candidates: found, arrived: true })?.text).toBe(
      "From 9 to 17.\n\nWhich order?",
    );
    const again = { ...nothing, candidates: found, stepAsks: "Which order?" };
    expect(composedReply(again)?.text).toBe("From 9 to 17.\n\nWhich order?");
    const asks = { ...nothing, candidates: found, asks: ["from 9 to 17."] };
    expect(composedReply(asks)?.text).toBe("From 9 to 17.");
  });
  it("asks for what is missing instead of the step's own words", () => {
    const found = candidates([{ name: "step", text: "Done!" }], { applied: [], step: ["step"] });
    const asked = composedReply({
      ...nothing,
      candidates: found,
      arrived: true,
      asks: ["Which one?"],
    });
    expect(asked).toMatchObject({ source: "prompt", text: "Which one?" });
  });
  it("falls back to the rules' own words, then the agent's, then ours", () => {
    const fallback = "TEMPLATE_MODE_FALLBACK";
    const [own, agents] = candidates([
      { name: "own", text: "Own.", mode: fallback },
      { name: "agents", text: "Agent's.", mode: fallback },
    ]);
    expect(fallbackReply(own ? [own] : [], agents, "x").text).toBe("Own.");
    expect(fallbackReply(own ? [own] : [], agents, "x", (text) => text !== "Own.").text).toBe(
      "Agent's.",
    );
    expect(fallbackReply([], undefined, "x").source).toBe("built_in");
  });
});
