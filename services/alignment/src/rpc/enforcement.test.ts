import type { WireRequest } from "@soldier/ai/testing";
import { ReplySource } from "@soldier/proto/session/v1/session";
import { afterEach, describe, expect, it } from "vitest";
import { Desks } from "../testing-shop.ts";
import { scriptedDesk, wire, wiredDesk } from "../testing-model.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const hours = {
  name: "hours",
  condition: "the customer asks for opening hours",
  examples: ["what are your opening hours", "when do you open"],
  action: "Say that we open at nine.",
};
const always = (checks: readonly object[], more = {}) => ({
  name: "careful",
  hardConstraint: true,
  alwaysOn: true,
  checks: [...checks] as never[],
  ...more,
});
const asked = "when do you open";
const shapeOf = (req: WireRequest | undefined) =>
  Object.keys(req?.output_config?.format?.schema["properties"] ?? {}).join();

describe("what must not be said", () => {
  it.each([
    ["in other letters", "It is ｆｒｅｅ today."],
    ["with something invisible in it", "It is fr\u200bee today."],
    ["with marks over it", "It is f\u0336r\u0336e\u0336e\u0336 today."],
    ["in capitals", "It is FREE today."],
  ])("is not said %s", async (_, said) => {
    const desk = await scriptedDesk(
      desks,
      { rules: [hours, always([{ mustNotInclude: "free" }])] },
      {
        replies: [said, said],
      },
    );
    const { deltas, completed } = await desk.say(asked);
    expect(deltas.join("")).toBe(completed.turn?.replyText);
    expect(completed.turn?.replySource).toBe(ReplySource.BUILT_IN);
    expect(desk.peers.record.reply?.checks).toMatchObject([
      { kind: "must_not_include", passed: false, attempt: 0 },
      { kind: "must_not_include", passed: false, attempt: 1 },
    ]);
  });

  it("is not begun either, where it would go on in the next sentence", async () => {
    const rules = [hours, always([{ mustNotInclude: "at nine. Or ten" }])];
    const desk = await scriptedDesk(
      desks,
      { rules },
      {
        replies: ["Hello. We open at nine. Or ten. Come!", "We open in the morning."],
      },
    );
    const { deltas } = await desk.say(asked);
    expect(deltas.join("")).toBe("Hello. We open in the morning.");
  });

  it("is not said by a fallback, nor by a built-in sentence", async () => {
    const rules = [
      hours,
      always([{ mustNotInclude: "sorry" }, { mustNotInclude: "nine" }], { templateIds: ["safe"] }),
    ];
    const desk = await scriptedDesk(
      desks,
      {
        rules,
        templates: [{ name: "safe", text: "Sorry about that.", mode: "TEMPLATE_MODE_FALLBACK" }],
      },
      { replies: ["At nine.", "At nine!"] },
    );
    expect((await desk.say(asked)).reply).toBe("One moment, please.");
    expect(desk.peers.record.reply).toMatchObject({ source: "built_in" });
  });

  it("is not said by the fallback of a turn without a model", async () => {
    const desk = await desks.start({
      agent: { settings: { fallbackTemplateId: "safe" } },
      rules: [always([{ mustNotInclude: "sorry" }])],
      templates: [{ name: "safe", text: "Sorry about that.", mode: "TEMPLATE_MODE_FALLBACK" }],
    });
    const { reply, deltas } = await desk.say("zyx");
    expect(reply).toBe("One moment, please.");
    expect(deltas.join("")).toBe(reply);
  });

  it("stays unsaid when no rules are looked for", async () => {
    const desk = await scriptedDesk(
      desks,
      { rules: [hours, always([{ mustNotInclude: "free" }])] },
      { replies: ["All free.", "All free!"] },
      { alignment: { disabled_steps: ["retrieve", "filter-rules"] } },
    );
    expect((await desk.say(asked)).reply).not.toContain("free");
  });
});

describe("what a model judges", () => {
  it("is judged in one call for all demands, on the whole text", async () => {
    const rules = [
      hours,
      always([{ judge: "Promise nothing." }]),
      always([{ judge: "Name no competitor." }], { name: "loyal" }),
    ];
    const kept = (id: string) => ({ id, kept: true, reason: "" });
    const { desk, server } = await wiredDesk(desks, { rules }, [
      wire("From nine. See you."),
      wire({ demands: [kept("d1"), kept("d2")] }),
    ]);
    const { deltas } = await desk.say(asked);
    expect(deltas).toEqual(["From nine. See you."]);
    expect(server.requests.map(shapeOf)).toEqual(["", "demands"]);
    expect(server.requests[1]?.messages[0]?.content).toContain("d2: Name no competitor.");
    expect(desk.peers.record.modelCalls.map(({ purpose }) => purpose)).toEqual([
      "generate",
      "check",
    ]);
  });

  it("is not sent when nobody could judge it, and written again with what was broken stressed", async () => {
    const { desk, server } = await wiredDesk(
      desks,
      { rules: [hours, always([{ judge: "Promise nothing." }])] },
      [
        wire("We promise nine."),
        wire({ demands: [{ id: "d1", kept: false, reason: "it promises" }] }),
        wire("From nine."),
        { status: 529, error: "overloaded_error" },
      ],
    );
    const { completed } = await desk.say(asked);
    expect(completed.turn?.replySource).toBe(ReplySource.BUILT_IN);
    const again = server.requests[2]?.system.map(({ text }) => text).join("\n");
    expect(again).toContain("<must_keep_to>\n- Promise nothing.");
    expect(desk.peers.record.reply).toMatchObject({
      regenerations: 1,
      checks: [{ reason: "it promises" }, { reason: "could not be judged: MODEL_OVERLOADED" }],
    });
  });
});

describe("what the model is told", () => {
  it("has the ways to begin that only acknowledge, and none of them answers", async () => {
    const behaviour = {
      rules: [{ ...hours, templateIds: ["ack"] }],
      templates: [{ name: "ack", text: "Let me look.", kind: "TEMPLATE_KIND_PREAMBLE" }],
    };
    const { desk, server } = await wiredDesk(desks, behaviour, [wire("Let me look. From nine.")]);
    const { completed } = await desk.say(asked);
    expect(completed.turn?.replySource).toBe(ReplySource.MODEL);
    const told = server.requests[0]?.system.map(({ text }) => text).join("\n");
    expect(told).toContain("<openings>\n- Let me look.\n</openings>");
  });
});

describe("a last look at the reply", () => {
  const looking = { rules: [hours], agent: { settings: { generation: { selfCritique: true } } } };

  it("holds it all, and has it written again when it is not fit to send", async () => {
    const { desk, server } = await wiredDesk(desks, looking, [
      wire("We open at six. Always."),
      wire({ fit: false, problem: "it says six instead of nine" }),
      wire("We open at nine."),
      wire({ fit: true, problem: "" }),
    ]);
    const { deltas } = await desk.say(asked);
    expect(deltas.join("")).toBe("We open at nine.");
    expect(server.requests.map(shapeOf)).toEqual(["", "fit,problem", "", "fit,problem"]);
    expect(desk.peers.record.reply?.checks).toMatchObject([
      { kind: "critique", passed: false, reason: "it says six instead of nine" },
      { kind: "critique", passed: true },
    ]);
  });

  it("is done without when the model can't", async () => {
    const { desk } = await wiredDesk(desks, looking, [
      wire("We open at nine."),
      { status: 500, error: "api_error" },
    ]);
    expect((await desk.say(asked)).reply).toBe("We open at nine.");
    expect(desk.peers.record.reply?.checks[0]?.reason).toContain("not looked at");
  });
});
