import { TurnOutcome } from "@soldier/proto/session/v1/session";
import { afterEach, describe, expect, it } from "vitest";
import { Desks, reasonOf, shop } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const opening = { opening: true };

describe("an opening, in which the agent may speak first", () => {
  it("opens a session, says nothing where nothing calls for it, and makes no model call", async () => {
    const desk = await desks.start(shop);
    const { reply, deltas, started, completed } = await desk.say("", opening);
    expect([reply, deltas, started?.turnNumber]).toEqual(["", [], 1]);
    expect(completed.turn).toMatchObject({ number: 1, userText: "", outcome: TurnOutcome.SILENT });
    expect(desk.peers.record.modelCalls).toEqual([]);
  });
  it("leaves the conversation as it is: the next message is answered like a first one", async () => {
    const desk = await desks.start(shop);
    const { sessionId } = await desk.say("", opening);
    const { reply, completed } = await desk.say("when do you open?", { sessionId });
    expect(reply).toBe("We are open from 9 to 17.");
    expect(completed.turn?.number).toBe(2);
  });
  it("uses a session that there is, and moves nothing in its scenario", async () => {
    const desk = await desks.start({
      scenarios: [
        {
          name: "tour",
          entryCondition: "the customer wants a tour",
          entryExamples: ["I want a tour"],
          steps: [
            { id: "hall", instructions: "This is the hall.", transitions: [{ toStepId: "end" }] },
            { id: "end", instructions: "Goodbye.", terminal: true },
          ],
        },
      ],
    });
    const { sessionId } = await desk.say("I want a tour");
    const { completed } = await desk.say("", { ...opening, sessionId });
    expect(completed.turn?.number).toBe(2);
    expect(completed.position?.stepId).toBe("hall");
    await desk.say("go on", { sessionId });
    await desk.say("", { ...opening, sessionId });
    expect(desk.peers.commits.at(-1)?.state?.position?.stepId).toBe("end");
  });
  it("has no message, and a message is not an opening", async () => {
    const desk = await desks.start(shop);
    expect(await reasonOf(desk.say("hello", opening))).toBe("VALIDATION_FAILED");
    expect(await reasonOf(desk.say(""))).toBe("VALIDATION_FAILED");
  });
  it("is one turn, however often it is asked for under one key", async () => {
    const desk = await desks.start(shop);
    const keyed = { ...opening, idempotencyKey: "k" };
    const first = await desk.say("", keyed);
    const again = await desk.say("", keyed);
    expect(again.completed).toMatchObject({
      replayed: true,
      turn: { id: first.completed.turn?.id },
    });
    expect(desk.peers.commits).toHaveLength(1);
  });
});
