import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type Desk, desk, found, settled } from "./testing.ts";

const step = (id: string, to: readonly string[] = [], more: object = {}) => ({
  id,
  transitions: to.map((target) => ({ to_step_id: target, condition: "onward" })),
  ...more,
});

const relation = (kind: string, from: string, ...to: string[]) => ({
  kind: `RELATION_KIND_${kind}`,
  from: { rule_id: from },
  to: to.map((rule) => ({ rule_id: rule })),
});

describe("a draft", () => {
  it("with nothing wrong has no problems, and references are ids", () => {
    const { draft, problems } = settled(desk());
    expect(problems).toEqual([]);
    expect(draft.rules[0]?.templateIds).toEqual([draft.templates[0]?.id]);
    expect(draft.relations[0]?.from?.target.value).toBe(draft.rules[0]?.id);
    expect(draft.agent?.settings?.fallbackTemplateId).toBe(draft.templates[2]?.id);
  });

  it("tells everything that is wrong at once, with its place", () => {
    const json = desk();
    json.rules = [
      { name: "a", condition: "c", action: "x", template_ids: ["helo"], guard: "sesion.turn >" },
      { name: "b", condition: "c", action: "x", scope: "SCOPE_STEP", scenario_id: "retrun" },
      { name: "b", condition: "c", action: "x", always_on: true, checks: [{ must_match: "(" }] },
    ];
    json.rule_groups = [];
    json.relations = [];
    json.templates = [
      { name: "hello", text: "Hello {", mode: "TEMPLATE_MODE_FALLBACK" },
      { name: "sorry", text: "{variables.fone} {profile.mail}", conditions: "reply == ''" },
    ];
    expect(found(json)).toEqual([
      "rules/a.template_ids[0] REFERENCE_UNKNOWN",
      "rules/b.scenario_id REFERENCE_UNKNOWN",
      "rules/b.name DUPLICATE_NAME",
      "rules/a.guard EXPRESSION_INVALID",
      "rules/b.step_id SCOPE_INVALID",
      "rules/b.always_on ALWAYS_ON_INVALID",
      "rules/b.checks[0].must_match PATTERN_INVALID",
      "templates/hello.text TEMPLATE_SYNTAX",
      "templates/sorry.text NAME_UNKNOWN",
      "templates/sorry.text NAME_UNKNOWN",
      "templates/sorry.conditions NAME_UNKNOWN",
    ]);
    expect(settled(json).problems.map(({ description }) => description)).toEqual(
      expect.arrayContaining([
        'no template is called "helo"; did you mean "hello"?',
        'no scenario is called "retrun"; did you mean "return"?',
        'no variable is called "fone"; did you mean "phone"?',
        'no field definition is called "mail"; did you mean "email"?',
      ]),
    );
  });

  it("warns of what can never act, and may be published all the same", () => {
    const json = desk();
    json.rules.push({ name: "mute" });
    json.templates.push({ name: "lonely", text: "Nobody says this." });
    expect(found(json)).toEqual([]);
    expect(found(json, "warnings")).toEqual([
      "rules/mute.condition NEVER_MATCHES",
      "rules/mute.action NO_EFFECT",
      "templates/lonely NEVER_USED",
    ]);
  });

  it("is refused names that look like ids", () => {
    const json = desk();
    json.field_definitions = [];
    json.tools = [];
    const name = "0198f0de-7b1c-7000-8000-000000000000";
    expect(found({ rules: [{ name, condition: "c", action: "a" }] })).toEqual([
      `rules/${name}.name NAME_INVALID`,
    ]);
  });

  it("accepts a bare name only when something gives it", () => {
    const json = desk();
    json.templates.push({ name: "x", text: "{status} {order_id} {phone} {statsu}" });
    expect(found(json)).toEqual(["templates/x.text NAME_UNKNOWN"]);
    json.tools.push({ name: "open", builtin: { name: "hand_off" } });
    expect(found(json)).toEqual([]);
    expect(found(json, "warnings")).toContain("templates/x.text NAME_UNKNOWN");
  });

  it("accepts how a defined field is known, by what is known of that", () => {
    const says = (text: string, conditions = "") => {
      const json = desk();
      json.field_definitions.push({ name: "address" });
      json.templates.push({ name: "x", text, conditions });
      return found(json);
    };
    expect(says("{provenance.address.note}", "provenance.address.age_days > 365")).toEqual([]);
    for (const text of [
      "{provenance.address}",
      "{provenance.address.nte}",
      "{provenance.adress.note}",
    ])
      expect(says(text)).toEqual(["templates/x.text NAME_UNKNOWN"]);
    expect(says("hello", "provenance.adress.age_days > 365")).toEqual([
      "templates/x.conditions NAME_UNKNOWN",
    ]);
  });
});

describe("a scenario", () => {
  const scenario = (steps: object[], more: object = {}) => ({
    scenarios: [{ name: "s", entry_condition: "c", steps: steps as never[], ...more }],
  });

  it("needs its entry step, its targets and a way to every step", () => {
    const steps = [step("a", ["b", "x"]), step("b", [], { terminal: true }), step("lost", ["b"])];
    expect(found(scenario(steps))).toEqual([
      "scenarios/s.steps[0].transitions[1].to_step_id STEP_UNKNOWN",
      "scenarios/s.steps[2] STEP_UNREACHABLE",
    ]);
    expect(found(scenario(steps.slice(0, 2), { entry_step_id: "z" }))).toEqual([
      "scenarios/s.steps[0].transitions[1].to_step_id STEP_UNKNOWN",
      "scenarios/s.entry_step_id STEP_UNKNOWN",
    ]);
  });

  it("may have steps that are reachable from anywhere, with what comes after them", () => {
    const steps = [
      step("a", ["end"]),
      step("help", ["more"], { reachable_from_anywhere: true }),
      step("more", ["end"]),
      step("end", [], { terminal: true }),
    ];
    expect(found(scenario(steps))).toEqual([]);
  });

  it("needs an end, and is doubted when a step has none", () => {
    expect(found(scenario([step("a", ["b"]), step("b", ["a"])]))).toEqual([
      "scenarios/s.steps NO_TERMINAL",
    ]);
    const trap = [step("a", ["b", "c"]), step("b", ["b"]), step("c", [], { terminal: true })];
    expect(found(scenario(trap))).toEqual([]);
    expect(found(scenario(trap), "warnings")).toEqual(["scenarios/s.steps[1] NO_WAY_OUT"]);
  });

  it("has each step and each transition once", () => {
    const twice = {
      id: "a",
      transitions: [
        { id: "t", to_step_id: "b", condition: "x" },
        { id: "t", to_step_id: "b", condition: "y" },
      ],
    };
    expect(found(scenario([twice, step("b", [], { terminal: true }), step("b", [])]))).toEqual([
      "scenarios/s.steps[0].transitions[1].id DUPLICATE_TRANSITION",
      "scenarios/s.steps[2].id DUPLICATE_STEP",
    ]);
  });

  it("may have edges that need nothing, and is doubted when two of them leave one step", () => {
    const two = {
      id: "a",
      transitions: [{ to_step_id: "b" }, { to_step_id: "c" }, { to_step_id: "d", priority: 1 }],
    };
    const ends = ["b", "c", "d"].map((id) => step(id, [], { terminal: true }));
    expect(found(scenario([two, ...ends]))).toEqual([]);
    expect(found(scenario([two, ...ends]), "warnings")).toEqual([
      "scenarios/s.steps[0].transitions[1] NEVER_TAKEN",
    ]);
  });

  it("is refused guards that would take long in every turn, with their place", () => {
    const guard = "[1].all(a, [1].all(b, [1].all(c, true)))";
    const steps = [
      { id: "a", transitions: [{ to_step_id: "b", guard }] },
      step("b", [], { terminal: true }),
    ];
    expect(found(scenario(steps, { entry_guard: guard }))).toEqual([
      "scenarios/s.entry_guard EXPRESSION_TOO_LARGE",
      "scenarios/s.steps[0].transitions[0].guard EXPRESSION_TOO_LARGE",
    ]);
  });

  it("requires only fields that are defined or collected", () => {
    const steps = [
      step("a", ["b"], { collects: ["size"] }),
      step("b", [], { terminal: true, required_fields: [{ field: "size" }, { field: "sise" }] }),
    ];
    expect(found(scenario(steps))).toEqual([
      "scenarios/s.steps[1].required_fields[1].field NAME_UNKNOWN",
    ]);
  });
});

describe("relations", () => {
  const rules = ["a", "b", "c", "d"].map((name) => ({ name, condition: name, action: name }));
  const cycle = (relations: object[], groups: object[] = []) =>
    settled({ rules, rule_groups: groups as never[], relations: relations as never[] }).problems;

  it("refuse a circle of overrides, naming it", () => {
    const [problem, ...others] = cycle([
      relation("OVERRIDES", "a", "b"),
      relation("OVERRIDES", "b", "c"),
      relation("OVERRIDES", "c", "a"),
    ]);
    expect(others).toEqual([]);
    expect(problem?.reason).toBe("RELATION_CYCLE");
    expect(problem?.description).toContain("overrides go in a circle: a → b → c → a");
    expect(problem?.field).toBe("relations/overrides:a:b");
  });

  it("refuse a circle of dependencies, all and any alike", () => {
    const [problem] = cycle([
      relation("DEPENDS_ALL", "a", "b"),
      relation("DEPENDS_ANY", "b", "c", "a"),
    ]);
    expect(problem?.description).toContain("dependencies go in a circle: a → b → a");
  });

  it("refuse a choice among fewer than two rules", () => {
    const group = { name: "g", rule_ids: ["b", "c"] };
    const toGroup = { ...relation("DISAMBIGUATES", "a"), to: [{ group_id: "g" }] };
    expect(cycle([relation("DISAMBIGUATES", "a", "b", "c")])).toEqual([]);
    expect(cycle([toGroup], [group])).toEqual([]);
    expect(cycle([relation("DISAMBIGUATES", "a", "b")])).toMatchObject([
      {
        field: "relations/disambiguates:a:b.to",
        reason: "DISAMBIGUATION_NEEDS_TWO_TARGETS",
      },
    ]);
  });

  it("refuse a circle through a group", () => {
    const group = { name: "g", rule_ids: ["b", "c"] };
    const toGroup = { ...relation("OVERRIDES", "a"), to: [{ group_id: "g" }] };
    const fromGroup = { ...relation("OVERRIDES", "a", "d"), from: { group_id: "g" } };
    expect(cycle([toGroup, fromGroup, relation("OVERRIDES", "d", "a")], [group])).toHaveLength(1);
    expect(cycle([toGroup, fromGroup], [group])).toEqual([]);
  });

  it("may go in a circle when they bring in, and across kinds", () => {
    expect(
      cycle([
        relation("ENTAILS", "a", "b"),
        relation("ENTAILS", "b", "a"),
        relation("OVERRIDES", "b", "a"),
        relation("DEPENDS_ALL", "a", "b"),
      ]),
    ).toEqual([]);
  });

  it("are told apart from a rule that overrides itself", () => {
    const [problem] = cycle([relation("OVERRIDES", "a", "a")]);
    expect(problem?.description).toContain("a → a");
  });
});

function withSettings(json: Desk, settings: JsonObject): Desk {
  const before = json.agent["settings"] as JsonObject; // the desk has some
  return { ...json, agent: { ...json.agent, settings: { ...before, ...settings } } };
}

describe("a template", () => {
  const withTemplate = (template: JsonObject, settings: JsonObject = {}) => {
    const json = desk();
    json.templates.push({ name: "x", text: "Fine.", ...template });
    return withSettings(json, settings);
  };

  it.each([
    ["text", { text: "{generative.amount} of {phone}" }, []],
    ["text", { text: "{generative}" }, ["text GENERATIVE_INVALID"]],
    [
      "text",
      { text: "{generative.a}", mode: "TEMPLATE_MODE_FALLBACK" },
      ["text GENERATIVE_INVALID"],
    ],
    ["required names", { required_names: ["phone", "profile.email"] }, []],
    [
      "required names",
      { required_names: ["fone", "{phone}", "generative.a"] },
      [
        "required_names[0] NAME_UNKNOWN",
        "required_names[1] TEMPLATE_SYNTAX",
        "required_names[2] GENERATIVE_INVALID",
      ],
    ],
    ["mode", { mode: 9 }, ["mode MODE_UNKNOWN"]],
    ["kind", { kind: 9 }, ["kind KIND_UNKNOWN"]],
    ["kind", { kind: "TEMPLATE_KIND_PREAMBLE" }, []],
    [
      "kind",
      { kind: "TEMPLATE_KIND_PREAMBLE", mode: "TEMPLATE_MODE_EXCLUSIVE", text: "{generative.a}" },
      ["text GENERATIVE_INVALID", "mode PREAMBLE_INVALID"],
    ],
    [
      "kind",
      { kind: "TEMPLATE_KIND_PREAMBLE", mode: "TEMPLATE_MODE_FALLBACK" },
      ["mode PREAMBLE_INVALID"],
    ],
  ])("has its %s checked: %o", (_, template, expected) => {
    expect(found(withTemplate(template))).toEqual(expected.map((each) => `templates/x.${each}`));
  });

  it("that no turn could say is pointed out", () => {
    const never = ["templates/x NEVER_USED"];
    const warned = (template: JsonObject, settings?: JsonObject) =>
      found(withTemplate(template, settings), "warnings").filter((each) =>
        each.startsWith("templates/"),
      );
    expect(warned({})).toEqual(never);
    expect(warned({ mode: "TEMPLATE_MODE_FALLBACK" })).toEqual(never);
    expect(warned({ conditions: "session.turn == 1" })).toEqual([]);
    expect(warned({ kind: "TEMPLATE_KIND_PREAMBLE" })).toEqual([]);
    expect(warned({}, { reply_mode: "TEMPLATE_MODE_EXCLUSIVE" })).toEqual([]);
    const asleep = withTemplate({});
    asleep.rules.push({ name: "off", condition: "c", template_ids: ["x"], disabled: true });
    expect(found(asleep, "warnings")).toContain("templates/x NEVER_USED");
  });
});

describe("a reply mode", () => {
  const exclusive = { reply_mode: "TEMPLATE_MODE_EXCLUSIVE" };
  it("is SUGGEST or EXCLUSIVE", () => {
    const wrong = { reply_mode: "TEMPLATE_MODE_FALLBACK" };
    const json = withSettings(desk(), wrong);
    json.scenarios = [
      { ...json.scenarios[0], ...wrong, steps: [{ id: "s", terminal: true, ...wrong }] },
    ];
    expect(found(json)).toEqual(
      expect.arrayContaining([
        "agent.settings.reply_mode REPLY_MODE_INVALID",
        "scenarios/return.reply_mode REPLY_MODE_INVALID",
        "scenarios/return.steps[0].reply_mode REPLY_MODE_INVALID",
      ]),
    );
  });
  it("of EXCLUSIVE without a fallback, or at a step without templates, is pointed out", () => {
    const json = withSettings(desk(), { ...exclusive, fallback_template_id: "" });
    expect(found(json, "warnings")).toContain(
      "agent.settings.fallback_template_id FALLBACK_MISSING",
    );
    const bare = desk();
    bare.rules = [];
    bare.rule_groups = [];
    bare.relations = [];
    bare.scenarios = [
      {
        ...bare.scenarios[0],
        steps: [{ id: "s", instructions: "i", terminal: true, ...exclusive }],
      },
    ];
    expect(found(bare, "warnings")).toContain("scenarios/return.steps[0] NO_TEMPLATE");
  });
});
