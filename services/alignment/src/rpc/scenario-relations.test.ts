import type { JsonValue } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it } from "vitest";
import { Desks } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

/** As likely as the scenario's entry, since it says the same. */
const repairing = {
  condition: "the customer wants repairs",
  examples: ["I want repairs now"],
};
const rule = (name: string, more: Record<string, JsonValue> = {}) => ({
  name,
  condition: `the customer speaks of ${name}`,
  examples: [`tell me about ${name}`],
  templateIds: [name],
  ...more,
});
const scenario = (name: string) => ({
  name,
  entryCondition: `the customer wants ${name}`,
  entryExamples: [`I want ${name} now`],
  steps: [
    {
      id: "ask",
      instructions: `Asks for ${name}.`,
      transitions: [{ toStepId: "end", condition: "is done", examples: ["that was it"] }],
    },
    { id: "end", terminal: true, instructions: `Done with ${name}.` },
  ],
});
const taxis = {
  ...scenario("taxis"),
  entryCondition: "somebody orders a cab",
  entryExamples: ["call me a cab"],
};
const relation = (kind: string, from: object, to: object) => ({
  name: "r",
  kind: `RELATION_KIND_${kind}`,
  from: from as Record<string, JsonValue>,
  to: [to as Record<string, JsonValue>],
});

async function said(relations: JsonValue, texts: readonly string[], rules = [rule("lamps")]) {
  const desk = await desks.start({
    agent: { settings: { ruleSelection: { kind: "SELECTION_KIND_FIXED_K", k: 5 } } },
    rules,
    scenarios: [scenario("repairs"), taxis],
    relations,
    templates: rules.map(({ name }) => ({ name, text: `${name}.` })),
  });
  let sessionId = "";
  for (const text of texts) ({ sessionId } = await desk.say(text, sessionId ? { sessionId } : {}));
  const { record } = desk.peers;
  const applied = record.rules.filter((each) => each.applied).map(({ name }) => name);
  return { desk, record, applied, position: desk.peers.commits.at(-1)?.state?.position };
}

describe("a scenario in relations", () => {
  it("is brought in by a rule", async () => {
    const entails = relation("ENTAILS", { ruleId: "lamps" }, { scenarioId: "repairs" });
    const { position } = await said([entails], ["tell me about lamps"]);
    expect(position).toMatchObject({ scenarioId: "repairs", stepId: "ask" });
  });
  it("does not start while a rule overrides it", async () => {
    const lamps = rule("lamps", repairing);
    const overrides = relation("OVERRIDES", { ruleId: "lamps" }, { scenarioId: "repairs" });
    const { position, record } = await said([overrides], ["I want repairs now"], [lamps]);
    expect(position).toBeUndefined();
    expect(record.navigation?.moves[0]).toMatchObject({ kind: "entry", reason: "overridden" });
  });
  it("stays where it is, and says nothing, in a turn in which a rule overrides it", async () => {
    const lamps = rule("lamps", { examples: ["that was it"] });
    const overrides = relation("OVERRIDES", { ruleId: "lamps" }, { scenarioId: "repairs" });
    const { position, record } = await said(
      [overrides],
      ["I want repairs now", "that was it"],
      [lamps],
    );
    expect(position?.stepId).toBe("ask");
    expect(record.navigation?.reason).toBe("a relation overrides the scenario");
    expect(record.replyText).toBe("lamps.");
  });
  it("starts only with what it depends on", async () => {
    const depends = relation("DEPENDS_ALL", { scenarioId: "repairs" }, { ruleId: "lamps" });
    expect((await said([depends], ["I want repairs now"])).position).toBeUndefined();
    const lamps = rule("lamps", repairing);
    const { position } = await said([depends], ["I want repairs now"], [lamps]);
    expect(position?.scenarioId).toBe("repairs");
  });
  it("drops the rule that it overrides from the turn in which it starts", async () => {
    const lamps = rule("lamps", repairing);
    const overrides = relation("OVERRIDES", { scenarioId: "repairs" }, { ruleId: "lamps" });
    const { applied, record } = await said([overrides], ["I want repairs now"], [lamps]);
    expect(applied).toEqual([]);
    expect(record.rules.find(({ name }) => name === "lamps")).toMatchObject({
      eliminatedBy: "relation",
      reason: "dropped by overrides: scenario repairs",
    });
  });
  it("lets in a rule that depends on it in the turn in which it starts, and no other", async () => {
    const texts = ["I want repairs now"];
    const rules = ["lamps", "chairs"].map((name) => rule(name, repairing));
    const relations = [
      relation("DEPENDS_ALL", { ruleId: "lamps" }, { scenarioId: "repairs" }),
      { ...relation("DEPENDS_ALL", { ruleId: "chairs" }, { scenarioId: "taxis" }), name: "r2" },
    ];
    expect((await said(relations, texts, rules)).applied).toEqual(["lamps"]);
  });
  it("takes its own rules with it when it is left for another", async () => {
    const own = {
      scope: "SCOPE_SCENARIO",
      scenarioId: "repairs",
      examples: ["call me a cab"],
      condition: "somebody orders a cab",
    };
    const { applied, record, position } = await said(
      [],
      ["I want repairs now", "call me a cab"],
      [rule("lamps", own)],
    );
    expect(position?.scenarioId).toBe("taxis");
    expect(applied).toEqual([]);
    expect(record.rules[0]).toMatchObject({ eliminatedBy: "scope" });
  });
});
