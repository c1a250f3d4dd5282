import { ReplySource, TurnOutcome } from "@soldier/proto/session/v1/session";
import { afterEach, describe, expect, it } from "vitest";
import type { TurnUnderTest, turnUnderTest } from "../testing.ts";
import { Desks } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

interface Script {
  readonly delay_ms?: number;
  readonly replies?: readonly string[];
  readonly structured?: Readonly<Record<string, unknown>>;
  readonly word_delay_ms?: number;
}

async function started(
  behaviour: Parameters<typeof turnUnderTest>[0],
  { replies = ["We are open."], structured = {}, ...script }: Script = {},
): Promise<TurnUnderTest> {
  return desks.start(behaviour, {
    settings: {
      model: {
        provider: "scripted",
        scripted: {
          replies: [...replies],
          structured: Object.fromEntries(
            Object.entries(structured).map(([name, value]) => [name, JSON.stringify(value)]),
          ),
          ...script,
        },
      },
    },
  });
}

const judged = (rules: readonly object[], move = { kind: "none", id: "", confidence: 0 }) => ({
  intent: "The customer wants to know when the shop is open.",
  topic: "opening hours",
  sentiment: 0.2,
  signal: "none",
  rules,
  move,
});
const applies = (id: string) => ({ id, applies: true, confidence: 0.9, reason: "it is asked" });
const doesNot = (id: string) => ({ id, applies: false, confidence: 0.1, reason: "it is not" });

const hours = {
  name: "hours",
  condition: "the customer asks for opening hours",
  examples: ["what are your opening hours", "when do you open"],
  action: "Say that we open at nine.",
};
const shop = { rules: [hours] };
/** Near enough to be a candidate, too far to be certain. */
const unclear = "do you open on my birthday";

describe("a turn with a model", () => {
  it("streams what the model writes, and is sure without asking it twice", async () => {
    const desk = await started(shop, { replies: ["We open at nine. See you soon!"] });
    const { reply, deltas, completed } = await desk.say("when do you open");
    expect(reply).toBe("We open at nine. See you soon!");
    expect(deltas.length).toBeGreaterThan(3);
    expect(completed.turn?.replySource).toBe(ReplySource.MODEL);
    const { record } = desk.peers;
    expect(record.modelCalls).toMatchObject([{ purpose: "generate", model: "scripted:model" }]);
    expect(record.modelCallDepth).toBe(1);
    expect(record.modelCalls[0]?.promptHash).toMatch(/^[0-9a-f]{64}$/);
  });

  it("lets it judge what scores leave open: rules and context in one call", async () => {
    const desk = await started(shop, { structured: { judgement: judged([applies("r1")]) } });
    await desk.say(unclear);
    const { record } = desk.peers;
    expect(record.modelCalls.map(({ purpose }) => purpose)).toEqual(["judge", "generate"]);
    expect(record.context).toMatchObject({ mode: "llm", topic: "opening hours" });
    expect(record.rules[0]).toMatchObject({ applied: true, reason: "it is asked" });
    expect(record.rules[0]?.scores["judge"]).toBe(0.9);
    expect(record.modelCallDepth).toBe(2);
  });

  it("believes it that a rule does not apply", async () => {
    const desk = await started(shop, { structured: { judgement: judged([doesNot("r1")]) } });
    await desk.say(unclear);
    expect(desk.peers.record.rules[0]).toMatchObject({ applied: false, eliminatedBy: "judge" });
  });

  it("leaves the word to the scores when its judgement makes no sense", async () => {
    const desk = await started(shop, { structured: { judgement: { nonsense: true } } });
    await desk.say(unclear);
    expect(desk.peers.record.degradations).toEqual(["filter-rules: MODEL_BAD_OUTPUT"]);
    expect(desk.peers.record.modelCalls[0]).toMatchObject({ failed: "MODEL_BAD_OUTPUT" });
  });

  it("never asks it when one EXCLUSIVE template is certain", async () => {
    const desk = await started({
      rules: [{ ...hours, templateIds: ["hours"] }],
      templates: [{ name: "hours", text: "From nine.", mode: "TEMPLATE_MODE_EXCLUSIVE" }],
    });
    const { reply, completed } = await desk.say("when do you open");
    expect(reply).toBe("From nine.");
    expect(completed.turn?.replySource).toBe(ReplySource.TEMPLATE);
    expect(desk.peers.record.modelCallDepth).toBe(0);
  });

  it("answers with a fallback when it is down, and says that it was", async () => {
    const desk = await started(
      {
        ...shop,
        agent: { settings: { fallbackTemplateId: "sorry" } },
        templates: [{ name: "sorry", text: "Please try later.", mode: "TEMPLATE_MODE_FALLBACK" }],
      },
      { replies: [""] },
    );
    const { reply, deltas, completed } = await desk.say("when do you open");
    expect(reply).toBe("Please try later.");
    expect(deltas.join("")).toBe(reply);
    expect(completed.turn?.outcome).toBe(TurnOutcome.DEGRADED);
    expect(desk.peers.record.reply).toMatchObject({ source: "fallback" });
    const warned = desk.mesh.lines().filter(({ level }) => level === "warn");
    expect(warned).toMatchObject([{ degradations: ["generate: MODEL_SAID_NOTHING"] }]);
  });

  it("answers with a fallback when it takes longer than the turn may", async () => {
    const agent = { settings: { turnTimeout: "0.15s" } };
    const desk = await started({ ...shop, agent }, { delay_ms: 5_000 });
    const { completed } = await desk.say("when do you open");
    expect(completed.turn).toMatchObject({
      outcome: TurnOutcome.DEGRADED,
      replySource: ReplySource.BUILT_IN,
    });
  });
});

describe("a hard constraint", () => {
  const constrained = (checks: readonly object[], more = {}) => ({
    rules: [
      hours,
      {
        name: "careful",
        scope: "SCOPE_GLOBAL",
        hardConstraint: true,
        alwaysOn: true,
        checks: [...checks] as never[],
        ...more,
      },
    ],
  });

  it("lets sentence by sentence out while each keeps to it", async () => {
    const desk = await started(constrained([{ mustNotInclude: "free" }]), {
      replies: ["We open at nine. We close at five."],
    });
    const { deltas } = await desk.say("when do you open");
    expect(deltas).toEqual(["We open at nine. ", "We close at five."]);
    expect(desk.peers.record.reply?.checks).toMatchObject([
      { kind: "must_not_include", passed: true },
    ]);
  });

  it("holds a sentence that breaks it back and has it written again after what was shown", async () => {
    const desk = await started(constrained([{ mustNotInclude: "free" }]), {
      replies: ["We open at nine. Coffee is free. Bye.", "Coffee costs two euros."],
    });
    const { reply, deltas } = await desk.say("when do you open");
    expect(reply).toBe("We open at nine. Coffee costs two euros.");
    expect(deltas.join("")).not.toContain("free");
    expect(desk.peers.record.reply).toMatchObject({ regenerations: 1, source: "model" });
    expect(desk.peers.record.modelCalls).toHaveLength(2);
  });

  it("falls back when the second attempt breaks it, too", async () => {
    const desk = await started(
      {
        ...constrained([{ mustInclude: "no advice" }], { templateIds: ["safe"] }),
        templates: [{ name: "safe", text: "This is no advice.", mode: "TEMPLATE_MODE_FALLBACK" }],
      },
      { replies: ["Buy it!", "Buy it now!"] },
    );
    const { reply, deltas, completed } = await desk.say("when do you open");
    expect(reply).toBe("This is no advice.");
    expect(deltas).toEqual(["This is no advice."]);
    expect(completed.turn?.outcome).toBe(TurnOutcome.COMPLETED);
    expect(desk.peers.record.reply).toMatchObject({
      source: "fallback",
      fallbackReason: "violated: careful",
      regenerations: 1,
    });
  });

  it("is judged by the model on the whole text when words can't decide it", async () => {
    const verdict = (kept: boolean) => ({
      demands: [{ id: "d1", kept, reason: kept ? "" : "it promises" }],
    });
    const behaviour = constrained([{ judge: "Promise nothing." }]);
    const good = await started(behaviour, { structured: { verdict: verdict(true) } });
    expect((await good.say("when do you open")).reply).toBe("We are open.");
    const bad = await started(behaviour, { structured: { verdict: verdict(false) } });
    const { completed } = await bad.say("when do you open");
    expect(completed.turn?.replySource).toBe(ReplySource.BUILT_IN);
    expect(bad.peers.record.reply?.checks.at(-1)).toMatchObject({
      kind: "judge",
      reason: "it promises",
    });
  });
});
