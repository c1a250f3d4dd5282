import { ReplySource, TurnOutcome } from "@soldier/proto/session/v1/session";
import { afterEach, describe, expect, it } from "vitest";
import { Desks } from "../testing-shop.ts";
import { applies, doesNot, judgement, scriptedDesk, wire, wiredDesk } from "../testing-model.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const overdrawn = {
  rules: [
    { name: "loan", condition: "the account is overdrawn", action: "Offer a loan." },
    { name: "polite", alwaysOn: true, hardConstraint: true, checks: [{ mustNotInclude: "damn" }] },
  ],
  variables: [{ name: "account_balance", defaultValue: "-207.05" }],
};

describe("an opening", () => {
  it("is made when a rule calls for it by what is known", async () => {
    const { desk, server } = await wiredDesk(desks, overdrawn, [
      wire(judgement([applies("r1")])),
      wire("Shall we talk about a loan?"),
    ]);
    const { reply, completed } = await desk.say("", { opening: true });
    expect(reply).toBe("Shall we talk about a loan?");
    expect(completed.turn).toMatchObject({ outcome: TurnOutcome.COMPLETED, userText: "" });
    const [asked, written] = server.requests.map(({ messages }) => messages[0]?.content ?? "");
    expect(asked).toContain("account_balance: -207.05");
    expect(asked).toContain("There is no message");
    expect(asked).not.toContain("<message>");
    expect(written).toContain("You begin");
  });

  it("is silent when the model finds no rule that calls for it", async () => {
    const structured = { judgement: judgement([doesNot("r1")]) };
    const desk = await scriptedDesk(desks, overdrawn, { structured });
    const { deltas, completed } = await desk.say("", { opening: true });
    expect(deltas).toEqual([]);
    expect(completed.turn).toMatchObject({
      outcome: TurnOutcome.SILENT,
      replySource: ReplySource.UNSPECIFIED,
      replyText: "",
    });
    expect(desk.peers.record.modelCalls.map(({ purpose }) => purpose)).toEqual(["judge"]);
  });

  it("asks no model when there is no rule that could call for it, and keyless never", async () => {
    const none = { variables: overdrawn.variables, rules: overdrawn.rules.slice(1) };
    const desk = await scriptedDesk(desks, none);
    expect((await desk.say("", { opening: true })).deltas).toEqual([]);
    expect(desk.peers.record.modelCalls).toEqual([]);
    const keyless = await desks.start(overdrawn);
    const { completed } = await keyless.say("", { opening: true });
    expect(completed.turn?.outcome).toBe(TurnOutcome.SILENT);
  });

  it("leaves a conversation that goes on as any other", async () => {
    const { desk, server } = await wiredDesk(desks, overdrawn, [
      wire(judgement([applies("r1")])),
      wire("Shall we talk about a loan?"),
      wire(judgement([doesNot("r1")])),
      wire("As you like."),
    ]);
    const { sessionId } = await desk.say("", { opening: true });
    await desk.say("no, thank you", { sessionId });
    expect(server.requests.at(-1)?.messages.map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "user",
    ]);
  });
});
