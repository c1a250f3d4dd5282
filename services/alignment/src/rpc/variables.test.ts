import { create } from "@bufbuild/protobuf";
import { newId } from "@soldier/kernel/ids";
import { VariableLevel, VariableValueSchema } from "@soldier/proto/config/v1/template";
import { ProfileFieldSchema } from "@soldier/proto/profile/v1/profile";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { valueOf } from "../domain/json.ts";
import { json, ToolServer } from "../testing-tools.ts";

const tool = new ToolServer();
beforeAll(() => tool.listen());
afterAll(() => tool[Symbol.asyncDispose]());
beforeEach(() => tool.reset(json({ status: "packed", eta: "Friday" })));

describe("a variable", () => {
  const plan = {
    rules: [
      {
        name: "plan",
        condition: "the customer asks for the plan",
        examples: ["which plan do I have"],
        templateIds: ["plan"],
      },
    ],
    templates: [{ name: "plan", text: "You are on {plan}." }],
    tools: [{ name: "fetch-plan", idempotent: true, http: { method: "GET", url: "${shop}/plan" } }],
  };
  const variable = { name: "plan", toolId: "fetch-plan", resultPath: "tier", defaultValue: "free" };
  const values = [
    { variable: "plan", level: "VARIABLE_LEVEL_GLOBAL", value: "global" },
    { variable: "plan", level: "VARIABLE_LEVEL_AGENT", value: "agent" },
    { variable: "plan", level: "VARIABLE_LEVEL_GROUP", key: "gold", value: "group" },
  ];

  it("is fetched when something in use names it, and kept for as long as it says", async () => {
    const desk = await tool.start({ ...plan, variables: [{ ...variable, cacheTtl: "60s" }] });
    tool.answer = json({ tier: "silver" });
    const { reply, sessionId } = await desk.say("which plan do I have?");
    expect(reply).toBe("You are on silver.");
    expect(desk.peers.record.variables).toMatchObject([{ name: "plan", source: "tool" }]);
    expect((await desk.say("which plan do I have?", { sessionId })).reply).toBe(
      "You are on silver.",
    );
    expect(tool.asked).toHaveLength(1);
    expect(desk.peers.record.variables).toMatchObject([{ name: "plan", source: "cache" }]);
  });
  it("shares one call with others that come from the same tool", async () => {
    const other = { ...variable, name: "seats", resultPath: "seats" };
    const desk = await tool.start({
      ...plan,
      templates: [{ name: "plan", text: "You are on {plan} with {seats} seats." }],
      variables: [variable, other],
    });
    tool.answer = json({ tier: "gold", seats: 5 });
    expect((await desk.say("which plan do I have?")).reply).toBe("You are on gold with 5 seats.");
    expect(tool.asked).toHaveLength(1);
  });
  it("is not fetched when nothing names it, unless it is for each turn", async () => {
    const desk = await tool.start({ ...plan, variables: [variable] });
    await desk.say("zyx");
    expect(tool.asked).toHaveLength(0);
    const each = { ...variable, policy: "VARIABLE_POLICY_ON_EACH_TURN" };
    const other = await tool.start({ ...plan, variables: [each] });
    await other.say("zyx");
    expect(tool.asked).toHaveLength(1);
  });
  it("falls back to its default when its tool fails", async () => {
    const desk = await tool.start({ ...plan, variables: [variable] });
    tool.answer = json({}, 500);
    expect((await desk.say("which plan do I have?")).reply).toBe("You are on free.");
    expect(desk.peers.record.variables).toMatchObject([{ source: "default" }]);
  });
  it("takes the value for the customer before a group's, the agent's and everyone's", async () => {
    const { toolId: _, ...plain } = variable;
    const desk = await tool.start({ ...plan, variables: [plain], variableValues: values });
    const { reply, sessionId } = await desk.say("which plan do I have?");
    expect(reply).toBe("You are on agent.");
    const profile = [...desk.peers.profiles.values()][0];
    const groups = create(ProfileFieldSchema, { name: "groups", value: valueOf("gold") });
    if (profile) profile.fields["groups"] = groups;
    expect((await desk.say("which plan do I have?", { sessionId })).reply).toBe(
      "You are on group.",
    );
    const value = { level: VariableLevel.CUSTOMER, key: profile?.id ?? "", value: valueOf("own") };
    desk.peers.variableValues.push(
      create(VariableValueSchema, { variable: "plan", ...value }),
      create(VariableValueSchema, { variable: "plan", ...value, key: newId() }),
    );
    await expect
      .poll(async () => (await desk.say("which plan do I have?", { sessionId })).reply, {
        timeout: 4_000,
      })
      .toBe("You are on own.");
  });
});
