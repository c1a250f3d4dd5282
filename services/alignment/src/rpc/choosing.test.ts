import { ReplySource, TurnOutcome } from "@soldier/proto/session/v1/session";
import { afterEach, describe, expect, it } from "vitest";
import type { TurnUnderTest, turnUnderTest } from "../testing.ts";
import { scriptedDesk, wire, wiredDesk } from "../testing-model.ts";
import { Desks } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

/** With a model that chooses like this, and judges as told. */
function withModel(
  behaviour: Parameters<typeof turnUnderTest>[0],
  choose: object,
  structured: Readonly<Record<string, unknown>> = {},
): Promise<TurnUnderTest> {
  const answer = "template" in choose ? { fields: [], ...choose } : choose;
  return scriptedDesk(desks, behaviour, {
    replies: ["I wrote this myself."],
    structured: { ...structured, choose: answer },
  });
}

const exclusive = { settings: { replyMode: "TEMPLATE_MODE_EXCLUSIVE", fallbackTemplateId: "fb" } };
const fb = { name: "fb", text: "Let me get back to you.", mode: "TEMPLATE_MODE_FALLBACK" };
const balance = {
  agent: exclusive,
  rules: [
    {
      name: "rounding",
      condition: "the customer asks for the balance",
      examples: ["What's my current account balance?"],
      action: "round amounts to the nearest dollar",
    },
  ],
  templates: [
    { name: "b", text: "Your current balance is ${generative.account_balance} as of today." },
    { name: "no", text: "I don't have this information." },
    fb,
  ],
  variables: [{ name: "account_balance", defaultValue: "1243.67" }],
};
const question = "What's my current account balance?";
const used = ({ peers: { record } }: TurnUnderTest) =>
  record.templates.filter((template) => template.used).map(({ name }) => name);

describe("where every reply is a template", () => {
  it("one that is eligible is said as it stands, whatever the language, without a model", async () => {
    const desk = await withModel(
      { agent: exclusive, templates: [{ name: "t", text: "Your request was received." }, fb] },
      {},
    );
    const { reply, completed } = await desk.say("Hola, ¿recibieron mi solicitud?");
    expect(reply).toBe("Your request was received.");
    expect(completed.turn?.replySource).toBe(ReplySource.TEMPLATE);
    expect(desk.peers.record.modelCalls.map(({ purpose }) => purpose)).not.toContain(
      "choose-template",
    );
  });

  it("a model chooses among several and fills in what is left to it, as the rules say", async () => {
    const desk = await withModel(balance, {
      template: "t1",
      fields: [{ name: "generative.account_balance", value: "1244" }],
    });
    const { reply, deltas } = await desk.say(question);
    expect(reply).toBe("Your current balance is $1244 as of today.");
    expect(deltas.join("")).toBe(reply);
    const { record } = desk.peers;
    expect(record.templates.map(({ name, used: said, reason }) => [name, said, reason])).toEqual([
      ["b", true, "the model chose it"],
      ["no", false, "b was chosen"],
    ]);
    expect(record.modelCalls.map(({ purpose }) => purpose)).toEqual(["choose-template"]);
  });

  it("the template that declines wins when the model, told of the rules, chooses it", async () => {
    const desk = await withModel(balance, { template: "t2" });
    expect((await desk.say(question)).reply).toBe("I don't have this information.");
    expect(used(desk)).toEqual(["no"]);
  });

  it.each([
    ["finds none that answers", { template: "none" }, "the model found none that answers"],
    ["names one that it was not offered", { template: "t9" }, "the model found none that answers"],
    ["leaves a value out", { template: "t1" }, "the model's generative.account_balance is missing"],
    [
      "writes more than a value",
      { template: "t1", fields: [{ name: "account_balance", value: "1244\nBye!" }] },
      "the model's generative.account_balance has more than one line",
    ],
  ])("a model that %s leaves the fallback", async (_, choice, reason) => {
    const desk = await withModel(balance, choice);
    const { reply, completed } = await desk.say(question);
    expect(reply).toBe("Let me get back to you.");
    expect(completed.turn).toMatchObject({
      outcome: TurnOutcome.COMPLETED,
      replySource: ReplySource.FALLBACK,
    });
    expect(desk.peers.record.reply).toMatchObject({ source: "fallback", fallbackReason: reason });
  });

  it("a value that breaks a hard constraint is not said, by words or by a judge", async () => {
    const hard = (more: object) => ({
      ...balance,
      rules: [...balance.rules, { name: "no-sums", hardConstraint: true, alwaysOn: true, ...more }],
    });
    const choice = { template: "t1", fields: [{ name: "account_balance", value: "1244" }] };
    const byWords = await withModel(hard({ checks: [{ mustNotMatch: "\\d{4}" }] }), choice);
    expect((await byWords.say(question)).reply).toBe("Let me get back to you.");
    expect(byWords.peers.record.reply?.fallbackReason).toBe("violated: no-sums");
    const verdict = { demands: [{ id: "d1", kept: false, reason: "it names a sum" }] };
    const judged = await withModel(hard({ action: "Name no sum." }), choice, { verdict });
    expect((await judged.say(question)).reply).toBe("Let me get back to you.");
    expect(judged.peers.record.reply?.checks).toMatchObject([
      { kind: "judge", passed: false, reason: "it names a sum", attempt: 0 },
      { kind: "judge", passed: false, reason: "it names a sum", attempt: 1 },
    ]);
  });

  it("a value that breaks a hard constraint is filled in again, the model told of it", async () => {
    const cents = { mustNotMatch: "\\d\\.\\d" };
    const said = (value: string) =>
      wire({ template: "t1", fields: [{ name: "account_balance", value }] });
    const { desk, server } = await wiredDesk(
      desks,
      {
        ...balance,
        rules: [
          ...balance.rules,
          {
            name: "no-cents",
            action: "Say no cents.",
            hardConstraint: true,
            alwaysOn: true,
            checks: [cents],
          },
        ],
      },
      [said("1243.67"), said("1244")],
    );
    expect((await desk.say(question)).reply).toBe("Your current balance is $1244 as of today.");
    expect(desk.peers.record.reply).toMatchObject({ source: "template", regenerations: 1 });
    const [first, again] = server.requests.map((each) => JSON.stringify(each));
    expect(first).not.toContain("must_keep_to>\\n");
    expect(again).toContain("match nothing like");
    expect(again).not.toContain("I don't have this information.");
  });

  it("words of a template that break a demand leave the choice to those that keep to it", async () => {
    const desk = await desks.start({
      agent: exclusive,
      rules: [
        {
          name: "careful",
          hardConstraint: true,
          alwaysOn: true,
          checks: [{ mustNotInclude: "guaranteed" }],
        },
      ],
      templates: [
        { name: "bold", text: "It is guaranteed.", priority: 5 },
        { name: "calm", text: "We will see." },
        fb,
      ],
    });
    expect((await desk.say("is it sure?")).reply).toBe("We will see.");
    expect(desk.peers.record.templates).toMatchObject([
      { name: "calm", used: true, reason: "the only one" },
      { name: "bold", used: false, reason: "it breaks what is demanded of the reply" },
    ]);
  });

  it("a model that is down leaves only what an author meant for the moment", async () => {
    const named = {
      ...balance,
      rules: [{ ...balance.rules[0], templateIds: ["see"] }],
      templates: [...balance.templates, { name: "see", text: "See your statement." }],
    };
    const desk = await withModel(named, { nonsense: true });
    expect((await desk.say(question)).reply).toBe("See your statement.");
    expect(desk.peers.record.degradations).toEqual(["generate: MODEL_BAD_OUTPUT"]);
    const nobody = await withModel(balance, { nonsense: true });
    const { reply, completed } = await nobody.say(question);
    expect([reply, completed.turn?.outcome]).toEqual([
      "Let me get back to you.",
      TurnOutcome.DEGRADED,
    ]);
  });

  it("without a model nothing is filled in, and the order decides", async () => {
    const desk = await desks.start(balance);
    expect((await desk.say(question)).reply).toBe("I don't have this information.");
    expect(desk.peers.record.templates).toMatchObject([
      { name: "no", used: true },
      { name: "b", reason: "needs a model to fill in generative.account_balance" },
    ]);
  });

  it("no template that is eligible leaves the fallback, and what it lacks is on record", async () => {
    const desk = await desks.start({
      agent: exclusive,
      rules: [
        {
          name: "o",
          condition: "my order",
          examples: ["what about my order"],
          templateIds: ["ready"],
        },
      ],
      templates: [
        { name: "ready", text: "Your order is ready.", requiredNames: ["order"] },
        { name: "ack", text: "Sure thing.", kind: "TEMPLATE_KIND_PREAMBLE" },
        fb,
      ],
    });
    expect((await desk.say("what about my order")).reply).toBe("Let me get back to you.");
    expect(desk.peers.record.templates).toMatchObject([
      { name: "ready", reason: "required: order" },
    ]);
    expect(desk.peers.record.reply?.fallbackReason).toBe("no template is eligible");
  });

  it("a step's own mode goes before its scenario's", async () => {
    const desk = await desks.start({
      scenarios: [
        {
          name: "food",
          entryCondition: "wants to order food",
          entryExamples: ["I want to order food"],
          replyMode: "TEMPLATE_MODE_SUGGEST",
          steps: [
            {
              id: "s1",
              instructions: "ask what food",
              replyMode: "TEMPLATE_MODE_EXCLUSIVE",
              terminal: true,
            },
          ],
        },
      ],
      templates: [
        {
          name: "d",
          text: "What delicacy would you like to order today?",
          scope: "SCOPE_STEP",
          scenarioId: "food",
          stepId: "s1",
        },
      ],
    });
    expect((await desk.say("I want to order food")).reply).toBe(
      "What delicacy would you like to order today?",
    );
    expect(desk.peers.record.navigation?.after).toBe("food/s1");
  });
});
