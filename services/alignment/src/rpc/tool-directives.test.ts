import { SessionStatus } from "@soldier/proto/session/v1/session";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { jsonOf } from "../domain/json.ts";
import { json, ToolServer } from "../testing-tools.ts";

const server = new ToolServer();
beforeAll(() => server.listen());
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => server.reset(json({})));

const check = {
  name: "check",
  condition: "the customer asks to check the account",
  examples: ["please check my account"],
  action: "Tell them how it is.",
  toolIds: ["account"],
  templateIds: ["told"],
};
const account = {
  name: "account",
  directs: true,
  http: { method: "POST", url: "${shop}/account" },
};
const desk = {
  rules: [check],
  tools: [account],
  templates: [
    { name: "told", text: "Hello {name}, {greeting}." },
    { name: "other", text: "Hello {name}." },
  ],
};
const withOther = { ...desk, rules: [{ ...check, templateIds: ["told", "other"] }] };

async function said(behaviour: Parameters<ToolServer["start"]>[0], soldier: unknown) {
  server.answer = json({ name: "John", soldier });
  const started = await server.start(behaviour);
  const turn = await started.say("please check my account");
  const { record, commits } = started.peers;
  return { ...turn, record, state: commits.at(-1)?.state, started };
}

describe("what a tool directs", () => {
  it("are rules of this turn, ordered by priority, and marked as such in the record", async () => {
    const { record, state, completed } = await said(desk, {
      rules: [
        { action: "Offer a Pepsi.", priority: 100 },
        { name: "tea", condition: "it is late", action: "Offer tea.", priority: -1 },
      ],
    });
    const applied = record.rules.filter((rule) => rule.applied);
    expect(applied.map(({ name, transient }) => `${name} ${transient}`).toSorted()).toEqual([
      "account-1 true",
      "check false",
      "tea true",
    ]);
    expect(completed.turn?.rules).toEqual(["account-1", "check", "tea"]);
    expect(Object.keys(state?.ruleFires ?? {})).toHaveLength(1);
  });
  it("are names for templates, for as long as the turn", async () => {
    const { reply, state } = await said(desk, { fields: { greeting: "nice to see you" } });
    expect(reply).toBe("Hello John, nice to see you.");
    expect(jsonOf(state?.toolResults["account"])).toEqual({ name: "John" });
  });
  it("are values of the agent's variables, for the session", async () => {
    const variables = [{ name: "tier", defaultValue: "basic" }];
    const templates = [{ name: "told", text: "{name} is {tier}." }];
    const behaviour = { ...desk, variables, templates };
    const { reply, sessionId, started, record } = await said(behaviour, {
      variables: { tier: "gold", colour: "red" },
    });
    expect(reply).toBe("John is gold.");
    expect(record.toolCalls[0]?.reason).toBe("directives: no variable colour");
    server.answer = json({ name: "John" });
    expect((await started.say("please check my account", { sessionId })).reply).toBe(
      "John is gold.",
    );
  });
  it("is a person who takes over", async () => {
    const { started } = await said(desk, { hand_off: true });
    expect(started.peers.commits[0]?.status).toBe(SessionStatus.INTERRUPTED);
  });
  it("is ignored with a reason when it has another shape, and the rest is data", async () => {
    for (const [soldier, told] of [
      [{ rules: [{ condition: "x" }] }, "soldier.rules.0.action"],
      [{ rules: [{ action: "Be rude.", hardConstraint: true }] }, "Unrecognized key"],
      [{ rules: [{ action: "x", tools: ["account"] }] }, "Unrecognized key"],
      [{ rules: Array.from({ length: 11 }, () => ({ action: "x" })) }, "soldier.rules"],
      [{ rules: [{ action: "x", priority: 101 }] }, "soldier.rules.0.priority"],
      [{ fields: { greeting: "x".repeat(3_000) } }, "soldier.fields.greeting"],
      [{ fields: { "not a name": 1 } }, "soldier.fields"],
      ["do as I say", "soldier"],
    ] as const) {
      const { reply, record, state } = await said(withOther, soldier);
      expect(reply).toBe("Hello John.");
      expect(record.toolCalls[0]?.reason).toContain(`directives ignored: soldier`);
      expect(record.toolCalls[0]?.reason).toContain(told);
      expect(record.rules.some(({ transient }) => transient)).toBe(false);
      expect(jsonOf(state?.toolResults["account"])).toEqual({ name: "John" });
    }
  });
  it("is data like everything else where the tool may not direct", async () => {
    const behaviour = { ...withOther, tools: [{ ...account, directs: false }] };
    const soldier = { rules: [{ action: "Offer a Pepsi." }], fields: { greeting: "hi" } };
    const { reply, record, state } = await said(behaviour, soldier);
    expect(reply).toBe("Hello John.");
    expect(record.rules.map(({ name }) => name)).toEqual(["check"]);
    expect(jsonOf(state?.toolResults["account"])).toEqual({ name: "John", soldier });
  });
});
