import { afterEach, describe, expect, it } from "vitest";
import { Desks } from "../testing-shop.ts";
import {
  applies,
  context,
  doesNot,
  judgement,
  noMove,
  scriptedDesk,
  wire,
  wiredDesk,
} from "../testing-model.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const hours = {
  name: "hours",
  condition: "the customer asks for opening hours",
  examples: ["what are your opening hours", "when do you open"],
  action: "Say that we open at nine.",
};
/** Near enough to be a candidate, too far to be certain. */
const unclear = "do you open on my birthday";
const shop = { rules: [hours] };

const returns = {
  rules: [hours],
  fieldDefinitions: [
    { name: "reason", extractionHint: "why it is sent back" },
    { name: "email", type: "FIELD_TYPE_EMAIL" },
  ],
  scenarios: [
    {
      name: "returns",
      entryCondition: "the customer wants to send something back",
      entryExamples: ["I want to return something"],
      entryStepId: "ask",
      steps: [
        {
          id: "ask",
          instructions: "Ask why.",
          collects: ["reason", "email"],
          transitions: [
            { toStepId: "refund", condition: "the customer wants the money back" },
            { toStepId: "swap", condition: "the customer wants another one" },
          ],
        },
        { id: "refund", instructions: "Promise the money." },
        { id: "swap", instructions: "Promise another one." },
      ],
    },
  ],
};
const separate = { agent: { settings: { judgement: "JUDGEMENT_MODE_SEPARATE" } } };

describe("a judgement", () => {
  it("in separate calls has a prompt and a shape of its own for context, rules and scenario", async () => {
    const { desk, server } = await wiredDesk(desks, { ...returns, ...separate }, [
      wire(context),
      wire("Why do you send it back?"),
      wire(context),
      wire({ rules: [doesNot("r1")] }),
      wire({ move: { kind: "edge", id: "e2", confidence: 0.9 }, fields: [] }),
      wire("You get another one."),
    ]);
    const { sessionId } = await desk.say("I want to return something");
    await desk.say("do you open a new one for me", { sessionId });
    const { record } = desk.peers;
    expect(record.modelCalls.map(({ purpose }) => purpose)).toEqual([
      "context",
      "rules",
      "scenario",
      "generate",
    ]);
    expect(new Set(record.modelCalls.map(({ promptHash }) => promptHash)).size).toBe(4);
    expect(record.navigation?.after).toBe("returns/swap");
    const shapes = server.requests.map((req) =>
      Object.keys(req.output_config?.format?.schema["properties"] ?? {}).toSorted(),
    );
    expect(shapes.slice(2)).toEqual([
      ["entities", "intent", "sentiment", "signal", "topic"],
      ["rules"],
      ["fields", "move"],
      [],
    ]);
  });

  it("in one call asks for all three at once, and for calls of tools", async () => {
    const { desk, server } = await wiredDesk(desks, shop, [
      wire(judgement([applies("r1")], { entities: [{ name: "day", text: "my birthday" }] })),
      wire("From nine."),
    ]);
    await desk.say(unclear);
    const asked = Object.keys(
      server.requests[0]?.output_config?.format?.schema["properties"] ?? {},
    );
    expect(asked.toSorted()).toEqual(
      "calls entities fields intent move rules sentiment signal topic".split(" "),
    );
    expect(desk.peers.record.context?.entities).toMatchObject([
      { name: "day", text: "my birthday" },
    ]);
  });

  it("keeps its prefix byte for byte between turns, and counts what the provider had cached", async () => {
    const { desk, server } = await wiredDesk(
      desks,
      { ...shop, agent: { instructions: "Be brief." } },
      [
        wire(judgement([applies("r1")])),
        wire("From nine."),
        wire(judgement([doesNot("r1")])),
        wire("Not then."),
      ],
    );
    const { sessionId } = await desk.say(unclear);
    await desk.say("do you open on her birthday", { sessionId });
    const [first, , second] = server.requests;
    expect(second?.system).toEqual(first?.system);
    expect(first?.system.every(({ cache_control }) => cache_control)).toBe(true);
    expect(first?.system.map(({ text }) => text).join()).toContain("Be brief.");
    expect(second?.messages).not.toEqual(first?.messages);
    const { modelCalls } = desk.peers.record;
    expect(modelCalls[0]).toMatchObject({ cachedTokens: 300n, inputTokens: 32n });
    expect(modelCalls[0]?.promptHash).toBe(
      desk.peers.commits[0]?.record?.modelCalls[0]?.promptHash,
    );
  });

  it("asks for the fields that the scenario collects and that nobody knows yet", async () => {
    const { desk, server } = await wiredDesk(desks, returns, [
      wire("Why do you send it back?"),
      wire(judgement([], { fields: [{ name: "reason", value: "broken", confidence: 0.9 }] })),
      wire("I see."),
    ]);
    const { sessionId } = await desk.say("I want to return something");
    await desk.say("it is broken, write to Ada@Lab.example", { sessionId });
    expect(server.requests[1]?.messages[0]?.content).toContain(
      "<fields>\nreason: why it is sent back\nemail\n</fields>",
    );
  });

  it("hands on the values that it reads, as the fields' own types have them", async () => {
    const fields = [
      { name: "email", value: "Ada@Lab.example", confidence: 0.9 },
      { name: "reason", value: "it hums", confidence: 0.96 },
      { name: "secret", value: "nobody asked", confidence: 1 },
    ];
    const { desk } = await wiredDesk(desks, returns, [
      wire("Why do you send it back?"),
      wire(judgement([], { fields })),
      wire("I see."),
    ]);
    const { sessionId } = await desk.say("I want to return something");
    await desk.say("it hums all night, and mail goes to my lab", { sessionId });
    const found = desk.peers.commits[1]?.extractedFields.map(({ name, value }) => [
      name,
      value?.kind.value,
    ]);
    expect(found).toEqual(
      expect.arrayContaining([
        ["email", "ada@lab.example"],
        ["reason", "it hums"],
      ]),
    );
    expect(found).not.toContainEqual(["secret", "nobody asked"]);
  });

  it("tells the model what went before: one-shot rules, what waits for the customer, observations", async () => {
    const rules = [
      { ...hours, application: "RULE_APPLICATION_ONE_SHOT" },
      {
        ...hours,
        name: "visit",
        action: "Ask whether they will come.",
        application: "RULE_APPLICATION_CUSTOMER_DEPENDENT",
      },
      { ...hours, name: "curious", action: "" },
    ];
    const { desk, server } = await wiredDesk(desks, { rules }, [
      wire(judgement([applies("r1"), applies("r2"), applies("r3")])),
      wire("From nine. Will you come?"),
      wire(judgement([])),
      wire("Fine."),
    ]);
    const { sessionId } = await desk.say(unclear);
    await desk.say("tell me about elephants", { sessionId });
    const asked = server.requests[2]?.messages[0]?.content ?? "";
    expect(asked).toContain(
      "r1: the customer asks for opening hours (applied before, only for a new reason)",
    );
    expect(asked).toContain("(waits for the customer, who was to: Ask whether they will come.)");
    expect(asked).toContain("r3: the customer asks for opening hours (observation)");
  });

  it("is about what is known, too, but for what the customer does not let a model see", async () => {
    const behaviour = {
      ...shop,
      variables: [{ name: "balance", defaultValue: -207 }],
    };
    const { desk, server } = await wiredDesk(desks, behaviour, [wire(judgement([])), wire("Hm.")]);
    await desk.say(unclear);
    expect(server.requests[0]?.messages[0]?.content).toContain(
      "<values>\nbalance: -207\n</values>",
    );
  });
});

describe("a judgement that makes no sense leaves the word to the scores", () => {
  const nonsense: Record<string, unknown> = {
    "half a JSON": '{"intent": "open", "rules": [{"id": "r1", "app',
    "a rule that was not asked about": judgement([applies("r9")]),
    "two answers for one rule": judgement([applies("r1"), doesNot("r1")]),
    "confidence outside its range": judgement([{ ...applies("r1"), confidence: 1.2 }]),
    "a move of no kind": judgement([], { move: { ...noMove, kind: "jump" } }),
    "an edge that was not offered": judgement([], { move: { ...noMove, kind: "edge", id: "e4" } }),
    "a scenario that was not offered": judgement([], {
      move: { ...noMove, kind: "entry", id: "s1" },
    }),
    "another shape": { yes: true },
  };
  it.each(Object.entries(nonsense))("with %s", async (_, value) => {
    const desk = await scriptedDesk(desks, shop, { structured: { judgement: value } });
    await desk.say(unclear);
    const { record } = desk.peers;
    expect(record.degradations).toEqual(["filter-rules: MODEL_BAD_OUTPUT"]);
    expect(record.modelCalls[0]).toMatchObject({ failed: "MODEL_BAD_OUTPUT", purpose: "judge" });
    expect(record.rules[0]?.reason).toMatch(/is below|reaches/);
  });

  it("with a refusal", async () => {
    const { desk } = await wiredDesk(desks, shop, [
      { pieces: [], stopReason: "refusal" },
      wire("From nine."),
    ]);
    await desk.say(unclear);
    expect(desk.peers.record.degradations).toEqual(["filter-rules: MODEL_REFUSED"]);
  });

  it("in separate calls, by scores alone in the part that failed", async () => {
    const { desk } = await wiredDesk(desks, { ...returns, ...separate }, [
      wire("not a context"),
      wire("nor this"),
      wire("Why do you send it back?"),
      wire(context),
      wire({ rules: [{ ...applies("r1"), id: "r5" }] }),
      wire({ rules: [{ ...applies("r1"), id: "r5" }] }),
      wire({ move: { kind: "edge", id: "e9", confidence: 0.9 }, fields: [] }),
      wire({ move: { kind: "edge", id: "e9", confidence: 0.9 }, fields: [] }),
      wire("I see."),
    ]);
    const { sessionId } = await desk.say("I want to return something");
    expect(desk.peers.record.degradations).toEqual(["extract-context: MODEL_BAD_OUTPUT"]);
    await desk.say("do you open a new one for me", { sessionId });
    expect(desk.peers.record.degradations).toEqual([
      "filter-rules: MODEL_BAD_OUTPUT",
      "adjudicate-scenario: MODEL_BAD_OUTPUT",
    ]);
    expect(desk.peers.record.navigation?.after).toBe("returns/ask");
  });

  it("but may be put right once", async () => {
    const { desk, server } = await wiredDesk(desks, shop, [
      wire(judgement([applies("r7")])),
      wire(judgement([applies("r1")])),
      wire("From nine."),
    ]);
    await desk.say(unclear);
    expect(desk.peers.record.rules[0]).toMatchObject({ applied: true, reason: "it is asked" });
    expect(server.requests[1]?.messages.at(-1)?.content).toContain('no rule "r7"');
    expect(desk.peers.record.degradations).toEqual([]);
  });
});
