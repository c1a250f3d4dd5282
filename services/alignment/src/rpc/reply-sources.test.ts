import {
  ReplySource,
  ReplySourceSchema,
  SessionStatus,
  TurnOutcome,
} from "@soldier/proto/session/v1/session";
import { afterEach, describe, expect, it } from "vitest";
import { type Script, scriptedDesk } from "../testing-model.ts";
import { Desks } from "../testing-shop.ts";
import type { TurnUnderTest, turnUnderTest } from "../testing.ts";

const desks = new Desks();
afterEach(() => desks.stop());

type Behaviour = Parameters<typeof turnUnderTest>[0];

const asked = "when do you open";
const rule = {
  name: "hours",
  condition: "the customer asks for opening hours",
  examples: [asked],
  action: "Say when we open.",
};
const template = { name: "hours", text: "From nine." };
const said = { rules: [{ ...rule, templateIds: ["hours"] }], templates: [template] };
const own = { name: "own", text: "Ask my colleague.", mode: "TEMPLATE_MODE_FALLBACK" };
const agents = { name: "agents", text: "Please try later.", mode: "TEMPLATE_MODE_FALLBACK" };
const agent = { settings: { fallbackTemplateId: "agents" } };
const strict = { settings: { ...agent.settings, replyMode: "TEMPLATE_MODE_EXCLUSIVE" } };
const never = { name: "never", hardConstraint: true, alwaysOn: true };
const careful = { ...never, checks: [{ mustNotInclude: "nine" }] };
const lamp = {
  name: "lamp",
  condition: "the customer wants a lamp",
  examples: [asked],
  toolIds: ["buy"],
  templateIds: ["sold"],
};
const buy = {
  name: "buy",
  inputSchema: { type: "object", required: ["colour"], properties: { colour: { type: "string" } } },
  arguments: { colour: { pattern: "\\b(red|blue)\\b", ask: "Which colour?" } },
  builtin: { name: "close_session" },
};
const step = (more: object) => ({
  scenarios: [
    {
      name: "taxi",
      entryCondition: "wants a taxi",
      entryExamples: [asked],
      steps: [{ id: "pick", terminal: true, ...more } as never],
    },
  ],
});
const { COMPLETED, DEGRADED, SILENT } = TurnOutcome;
const { TEMPLATE, MODEL, PROMPT, FALLBACK, BUILT_IN, UNSPECIFIED } = ReplySource;
const sorry = /^I'm sorry, I can't help/;

type Rung = readonly [
  string,
  Behaviour,
  Script | undefined,
  string | RegExp,
  ReplySource,
  TurnOutcome,
];

/** From the best that can be said to the last: with no model first, then with one. */
const ladder: readonly Rung[] = [
  [
    "an EXCLUSIVE template",
    { ...said, templates: [{ ...template, mode: "TEMPLATE_MODE_EXCLUSIVE" }] },
    {},
    "From nine.",
    TEMPLATE,
    COMPLETED,
  ],
  [
    "a template where all are EXCLUSIVE",
    { ...said, agent: strict },
    {},
    "From nine.",
    TEMPLATE,
    COMPLETED,
  ],
  ["a template, keyless", said, undefined, "From nine.", TEMPLATE, COMPLETED],
  [
    "what a tool lacks, keyless",
    { rules: [lamp], tools: [buy], templates: [{ name: "sold", text: "Sold." }] },
    undefined,
    "Which colour?",
    PROMPT,
    COMPLETED,
  ],
  [
    "what a tool lacks where all are EXCLUSIVE",
    {
      agent: strict,
      rules: [lamp],
      tools: [buy],
      templates: [
        { name: "sold", text: "Sold." },
        { name: "other", text: "How can I help?" },
        agents,
      ],
    },
    undefined,
    "Which colour?",
    PROMPT,
    COMPLETED,
  ],
  [
    "the moment's EXCLUSIVE template, whatever a tool lacks",
    {
      rules: [lamp],
      tools: [buy],
      templates: [
        { name: "sold", text: "Sold." },
        {
          name: "closed",
          text: "We are closed today.",
          mode: "TEMPLATE_MODE_EXCLUSIVE",
          conditions: "session.turn == 1",
        },
      ],
    },
    {},
    "We are closed today.",
    TEMPLATE,
    COMPLETED,
  ],
  [
    "what a step collects, keyless",
    {
      ...step({ collects: ["email"] }),
      fieldDefinitions: [{ name: "email", collectionPrompt: "Your e-mail?" }],
    },
    undefined,
    "Your e-mail?",
    PROMPT,
    COMPLETED,
  ],
  [
    "a step's own words, keyless",
    step({ instructions: "Where from?" }),
    undefined,
    "Where from?",
    PROMPT,
    COMPLETED,
  ],
  ["a model's words", { rules: [rule] }, { replies: ["At nine."] }, "At nine.", MODEL, COMPLETED],
  [
    "a model's second words",
    { rules: [rule, careful] },
    { replies: ["At nine.", "In the morning."] },
    "In the morning.",
    MODEL,
    COMPLETED,
  ],
  [
    "the rule's fallback, for its broken words",
    { agent, rules: [{ ...rule, templateIds: ["own"] }, careful], templates: [own, agents] },
    { replies: ["At nine.", "At nine!"] },
    "Ask my colleague.",
    FALLBACK,
    COMPLETED,
  ],
  [
    "the agent's fallback, for broken words",
    { agent, rules: [rule, careful], templates: [own, agents] },
    { replies: ["At nine.", "At nine!"] },
    "Please try later.",
    FALLBACK,
    COMPLETED,
  ],
  [
    "the agent's fallback, for broken words of an author",
    { ...said, agent, rules: [...said.rules, careful], templates: [template, agents] },
    undefined,
    "Please try later.",
    FALLBACK,
    COMPLETED,
  ],
  [
    "the place's fallback",
    {
      agent,
      ...step({}),
      templates: [{ ...own, scope: "SCOPE_SCENARIO", scenarioId: "taxi" }, agents],
    },
    undefined,
    "Ask my colleague.",
    FALLBACK,
    COMPLETED,
  ],
  [
    "the agent's fallback, with nothing to say",
    { agent, templates: [agents] },
    undefined,
    "Please try later.",
    FALLBACK,
    COMPLETED,
  ],
  [
    "the agent's fallback, where no template is eligible",
    { agent: strict, templates: [{ name: "x", text: "{nothing}" }, agents] },
    {},
    "Please try later.",
    FALLBACK,
    COMPLETED,
  ],
  [
    "the agent's fallback, for a model that says nothing",
    { agent, rules: [rule], templates: [agents] },
    { replies: [""] },
    "Please try later.",
    FALLBACK,
    DEGRADED,
  ],
  [
    "the agent's fallback, for a model that can't choose",
    { agent: strict, templates: [template, { name: "b", text: "B." }, agents] },
    { structured: { choose: "no JSON" } },
    "Please try later.",
    FALLBACK,
    DEGRADED,
  ],
  ["the built-in sentence, with nothing to say", {}, undefined, sorry, BUILT_IN, COMPLETED],
  [
    "the built-in sentence, for a fallback that breaks a demand",
    {
      agent,
      rules: [
        rule,
        { ...never, checks: [{ mustNotInclude: "nine" }, { mustNotInclude: "later" }] },
      ],
      templates: [agents],
    },
    { replies: ["At nine.", "At nine!"] },
    sorry,
    BUILT_IN,
    COMPLETED,
  ],
  [
    "the built-in sentence, for a model that is down",
    { rules: [rule] },
    { replies: [""] },
    sorry,
    BUILT_IN,
    DEGRADED,
  ],
];

describe("a reply's source and outcome", () => {
  it.each(ladder)("%s", async (_, behaviour, script, reply, source, outcome) => {
    const desk = script
      ? await scriptedDesk(desks, behaviour, script)
      : await desks.start(behaviour);
    const told = await desk.say(asked);
    expect(told.reply).toMatch(reply);
    expect(told.deltas.join("")).toBe(told.reply);
    expect(told.completed.turn).toMatchObject({ replySource: source, outcome });
    expect(desk.peers.record.reply?.source).toBe(
      ReplySourceSchema.value[source]?.localName.toLowerCase(),
    );
  });

  it.each([
    ["an opening that no rule calls for", undefined],
    ["an opening that no rule calls for, with a model", { replies: ["Hi!"] }],
  ])("nothing: %s", async (_, script) => {
    const rules = [careful];
    const desk = script
      ? await scriptedDesk(desks, { rules }, script)
      : await desks.start({ rules });
    await expectSilence(desk, () => desk.say("", { opening: true }));
  });

  it("nothing: a person has the session", async () => {
    const desk = await scriptedDesk(desks, said);
    const { sessionId } = await desk.say(asked);
    const session = desk.peers.sessions.get(sessionId);
    if (session) session.status = SessionStatus.INTERRUPTED;
    await expectSilence(desk, () => desk.say(asked, { sessionId }));
  });

  async function expectSilence(desk: TurnUnderTest, say: () => ReturnType<TurnUnderTest["say"]>) {
    const { reply, deltas, completed } = await say();
    expect([reply, deltas]).toEqual(["", []]);
    expect(completed.turn).toMatchObject({ outcome: SILENT, replySource: UNSPECIFIED });
    expect(desk.peers.record.modelCalls).toEqual([]);
  }
});
