import type { JsonValue } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { bindingsOf } from "./expressions.ts";
import type { JsonRecord } from "./json.ts";
import type { KnownValues } from "./known-values.ts";
import { composedReply, fallbackReply } from "./reply.ts";
import { nowhere, type Place } from "./scope.ts";
import { shownText, suggestionsOf } from "./shown-text.ts";
import { preambles, templateCandidates } from "./templates.ts";
import { someBundle, someValues } from "./testing.ts";

interface Moment {
  readonly applied?: readonly string[];
  readonly known?: KnownValues;
  readonly place?: Place;
  readonly step?: string[];
  readonly agent?: Record<string, JsonValue>;
}

type Templates = readonly (Record<string, JsonValue> & { readonly name: string })[];

function question(
  templates: Templates,
  {
    applied = templates.map(({ name }) => name),
    known = someValues(),
    place = nowhere,
    step = [],
    agent = {},
  }: Moment = {},
) {
  const bundle = someBundle({
    agent: { settings: agent },
    rules: applied.map((name) => ({ id: `r-${name}`, name: `r-${name}`, templateIds: [name] })),
    scenarios: [{ id: "book", steps: [{ id: "s1", templateIds: step }] }],
    templates: templates.map((template) => ({ id: template.name, ...template })),
  });
  return {
    bundle,
    applied: bundle.rules,
    step: bundle.scenariosById.get("book")?.steps.get("s1"),
    place,
    known,
    bindings: bindingsOf(known),
    unfinished: new Set<string>(),
  };
}

function candidates(templates: Templates, moment: Moment = {}) {
  return templateCandidates(question(templates, moment));
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
    expect(found?.parts).toEqual([]);
  });
  it("with an explicit condition needs it, whatever its text", () => {
    const ready = { name: "ready", text: "Your order is ready.", conditions: "has(results.order)" };
    expect(candidates([ready])[0]?.reason).toBe("its conditions are false");
    const known = someValues({ results: { order: {} } });
    expect(candidates([ready], { known })[0]?.text).toBe("Your order is ready.");
  });
  it("reaches into objects and lists, and into nothing that is not there", () => {
    const items = [{ name: "oak shelf" }, { name: "vase" }];
    const known = someValues({ results: { find: { order: { items, tags: [] } } } });
    const said = (text: string) => candidates([{ name: "t", text }], { known })[0];
    expect(said("The {order.items.0.name} and the {order.items[1].name}.")?.text).toBe(
      "The oak shelf and the vase.",
    );
    expect(said("{order.items.2.name}")?.reason).toBe("unresolved: order.items.2.name");
    expect(said("{order.items}{order.tags}")?.reason).toBe("unresolved: order.items, order.tags");
  });
  it("never reads a value as a template", () => {
    const known = someValues({ profile: { email: "ada@x.example" }, fields: { n: "{email} {{x" } });
    expect(candidates([{ name: "t", text: "So {n}." }], { known })[0]?.text).toBe(
      "So {email} {{x.",
    );
  });
  it("needs the names that it requires, though its text does not say them", () => {
    const ready = {
      name: "ready",
      text: "It is ready.",
      requiredNames: ["order", "results.find.at"],
    };
    const said = (results: JsonRecord) =>
      candidates([ready], { known: someValues({ results }) })[0];
    expect(said({})?.reason).toBe("required: order, results.find.at");
    expect(said({ find: { order: {}, at: "" } })?.reason).toBe("required: results.find.at");
    expect(said({ find: { order: {}, at: "noon" } })?.text).toBe("It is ready.");
  });
  it("that a model has to fill in can't be said without one", () => {
    const known = someValues({ profile: { email: "ada@x.example", plan: "gold" } });
    const text = "{plan}: {generative.balance} to {profile.email}";
    const [found] = candidates([{ name: "t", text }], { known });
    expect(found).toMatchObject({
      text: undefined,
      isFillable: true,
      reason: "needs a model to fill in generative.balance",
    });
    expect(found && shownText(found)).toBe("gold: {generative.balance} to ada@x.example");
  });
  it("never says a field that is withheld, whatever name it is called by, nor lets a model see it", () => {
    const purpose = "contact";
    const known = someValues({
      profile: { email: "ada@x.example", plan: "gold" },
      fields: { phone: "12345678" },
      withheld: new Map([
        ["email", { purpose, reason: "consent_missing" }],
        ["phone", { purpose, reason: "consent_withdrawn" }],
      ]),
    });
    const templates = [
      { name: "place", text: "I write to {profile.email}." },
      { name: "bare", text: "I write to {email}." },
      { name: "collected", text: "I call {fields.phone}." },
      { name: "needed", text: "I write.", requiredNames: ["email"] },
      { name: "filled", text: "{generative.balance} to {email}" },
      { name: "other", text: "You are on {plan}." },
    ];
    const found = candidates(templates, { known });
    expect(found.map(({ name, withheld }) => [name, withheld])).toEqual([
      ["place", ["email"]],
      ["bare", ["email"]],
      ["collected", ["phone"]],
      ["needed", ["email"]],
      ["filled", ["email"]],
      ["other", []],
    ]);
    expect(found[0]?.reason).toBe("no consent to say: email (contact)");
    expect(suggestionsOf(found).map(({ name }) => name)).toEqual(["other"]);
    const opening = { name: "o", text: "Hello {email}!", kind: "TEMPLATE_KIND_PREAMBLE" };
    expect(preambles(question([opening], { known }))).toEqual([]);
  });
  it("says another value of a withheld field's name: a variable's, or a tool's answer", () => {
    const known = someValues({
      profile: { email: "ada@x.example" },
      withheld: new Map([["email", { purpose: "contact", reason: "consent_missing" }]]),
      results: { find: { email: "help@x.example" } },
    });
    expect(candidates([{ name: "t", text: "{email}" }], { known })[0]?.text).toBe("help@x.example");
  });
  it("suggests its words, with what is to be found told in words", () => {
    const known = someValues({ profile: { email: "ada@x.example", plan: "gold" } });
    const found = candidates(
      [
        { name: "a", text: "On {plan} you have {generative.account_balance}." },
        { name: "b", text: "I write to {profile.email}." },
        { name: "c", text: "Word for word.", mode: exclusive },
        { name: "d", text: "{nowhere}" },
      ],
      { known },
    );
    expect(suggestionsOf(found).map(({ text }) => text)).toEqual([
      "On gold you have [account balance].",
      "I write to ada@x.example.",
    ]);
  });
  it("that only opens a reply never answers, but is offered as an opening", () => {
    const kind = "TEMPLATE_KIND_PREAMBLE";
    const templates = [
      { name: "ack", text: "Sure thing, {name}.", kind },
      { name: "look", text: "Let me look.", kind },
    ];
    for (const agent of [{}, { replyMode: exclusive }])
      expect(candidates(templates, { applied: ["ack"], agent })).toEqual([]);
    const known = someValues({ profile: { name: "Ada" } });
    expect(preambles(question(templates, { applied: ["ack"], known }))).toEqual([
      "Sure thing, Ada.",
      "Let me look.",
    ]);
    expect(preambles(question(templates))).toEqual(["Let me look."]);
  });
  it("for everywhere needs no one to name it only where the agent is EXCLUSIVE", () => {
    const gen = { name: "gen", text: "How can I help?" };
    const dst = { name: "dst", text: "Where to?", scope: "SCOPE_SCENARIO", scenarioId: "book" };
    const named = { name: "named", text: "Of a rule." };
    const found = (agent: Record<string, JsonValue>) => {
      const asked = question([gen, dst, named], { applied: ["named"], agent });
      return templateCandidates({ ...asked, applied: [] }).map(({ name }) => name);
    };
    expect(found({})).toEqual([]);
    expect(found({ replyMode: exclusive })).toEqual(["gen"]);
  });
  it("of a scenario is not eligible outside of it, and needs no rule inside", () => {
    const dst = { name: "dst", text: "Where to?", scope: "SCOPE_SCENARIO", scenarioId: "book" };
    expect(candidates([dst], { applied: [] })).toEqual([]);
    const place = { scenarioId: "book", stepId: "s1" };
    expect(candidates([dst], { applied: [], place })[0]?.text).toBe("Where to?");
  });
  it("of a place that is a FALLBACK needs no one to name it there", () => {
    const sorry = { name: "sorry", text: "Sorry.", mode: "TEMPLATE_MODE_FALLBACK" };
    const here = { ...sorry, scope: "SCOPE_SCENARIO", scenarioId: "book" };
    const place = { scenarioId: "book", stepId: "s1" };
    expect(fallbackReply(candidates([here], { applied: [], place }), undefined, "").text).toBe(
      "Sorry.",
    );
    expect(candidates([sorry], { applied: [], place })).toEqual([]);
  });
  it("that nobody names and that has no place or condition is never said", () => {
    expect(candidates([{ name: "ack", text: "Sure thing." }], { applied: [] })).toEqual([]);
  });
});

describe("a reply without a model", () => {
  const nothing = { asks: [], arrived: false, stepAsks: "", stepInstructions: "" };
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
