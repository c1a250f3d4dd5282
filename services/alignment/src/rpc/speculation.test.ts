import type { WireAnswer, WireRequest } from "@soldier/ai/testing";
import { afterEach, describe, expect, it } from "vitest";
import { Desks } from "../testing-shop.ts";
import { applies, doesNot, judgement, wire, wiredDesk } from "../testing-model.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const hours = {
  name: "hours",
  condition: "the customer asks for opening hours",
  examples: ["what are your opening hours", "when do you open"],
  action: "Say that we open at nine.",
};
const speculative = { settings: { generation: { speculative: true } } };
/** Likely enough for the scores, not certain enough not to ask. */
const likely = "do you open on my birthday";

/** Answers by what is asked, since both calls come at once. */
function answers(asked: unknown, replies: readonly WireAnswer[]) {
  let written = 0;
  return (req: WireRequest): WireAnswer => {
    if (req.output_config?.format) return wire(asked);
    return replies[written++] ?? wire("no more");
  };
}

describe("writing while the message is judged", () => {
  it("saves a call's time when the judgement is as expected", async () => {
    const { desk, server } = await wiredDesk(
      desks,
      { rules: [hours], agent: speculative },
      answers(judgement([applies("r1")]), [wire("From nine.")]),
    );
    const { reply } = await desk.say(likely);
    expect(reply).toBe("From nine.");
    const { record } = desk.peers;
    expect(record.speculation).toMatchObject({ used: true, reason: "" });
    expect(record.modelCalls.map(({ purpose }) => purpose).toSorted()).toEqual([
      "generate",
      "judge",
    ]);
    expect(record.modelCallDepth).toBe(1);
    expect(server.requests).toHaveLength(2);
  });

  it("is for nothing when the judgement differs, and nobody sees a word of it", async () => {
    const { desk } = await wiredDesk(
      desks,
      { rules: [hours], agent: speculative },
      answers(judgement([doesNot("r1")]), [
        wire("From nine."),
        wire("We are always glad to see you."),
      ]),
    );
    const { reply, deltas } = await desk.say(likely);
    expect(reply).toBe("We are always glad to see you.");
    expect(deltas.join("")).toBe(reply);
    const { record } = desk.peers;
    expect(record.speculation).toMatchObject({
      used: false,
      reason: "the reply is asked for otherwise",
    });
    expect(record.modelCalls).toHaveLength(3);
    expect(record.modelCallDepth).toBe(2);
  });

  it("is cancelled while it runs when it is for nothing", async () => {
    const { desk, server } = await wiredDesk(
      desks,
      { rules: [hours], agent: speculative },
      answers(judgement([doesNot("r1")]), [
        { pieces: ["From "], ending: "silence" },
        wire("Welcome."),
      ]),
    );
    expect((await desk.say(likely)).reply).toBe("Welcome.");
    await server.hungUp(1);
  });

  it("is held to the constraints that turn out to apply", async () => {
    const rules = [
      hours,
      { name: "quiet", alwaysOn: true, hardConstraint: true, checks: [{ mustNotInclude: "nine" }] },
    ];
    const { desk } = await wiredDesk(
      desks,
      { rules, agent: speculative },
      answers(judgement([applies("r1")]), [
        wire("We open. From nine. Come!"),
        wire("In the morning."),
      ]),
    );
    const { reply, deltas } = await desk.say(likely);
    expect(reply).toBe("We open. In the morning.");
    expect(deltas.join("")).toBe(reply);
    expect(desk.peers.record.speculation?.used).toBe(true);
  });

  it("does not begin where tools are to run first, a template answers or scores decide", async () => {
    const tool = { name: "t", builtin: { name: "hand_off" } };
    const withTool = { rules: [{ ...hours, toolIds: ["t"] }], tools: [tool], agent: speculative };
    const template = { name: "hours", text: "From nine.", mode: "TEMPLATE_MODE_EXCLUSIVE" };
    const withTemplate = {
      rules: [{ ...hours, templateIds: ["hours"] }],
      templates: [template],
      agent: speculative,
    };
    for (const behaviour of [withTool, withTemplate]) {
      const { desk } = await wiredDesk(
        desks,
        behaviour,
        answers(judgement([doesNot("r1")]), [wire("Hello.")]),
      );
      await desk.say(likely);
      expect(desk.peers.record.speculation).toBeUndefined();
      expect(desk.peers.record.modelCallDepth).toBe(2);
    }
    const { desk } = await wiredDesk(desks, { rules: [hours], agent: speculative }, [
      wire("Nine."),
    ]);
    await desk.say("when do you open");
    expect(desk.peers.record).toMatchObject({ modelCallDepth: 1 });
    expect(desk.peers.record.speculation).toBeUndefined();
  });
});
