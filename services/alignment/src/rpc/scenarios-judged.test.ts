import { create } from "@bufbuild/protobuf";
import { SessionStateSchema, VisitReason } from "@soldier/proto/session/v1/session";
import { afterEach, describe, expect, it } from "vitest";
import { valueOf } from "../domain/json.ts";
import type { TurnUnderTest } from "../testing.ts";
import { Desks } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const trip = {
  rules: [
    {
      name: "young",
      scope: "SCOPE_SCENARIO",
      scenarioId: "trip",
      condition: "the traveller is under 21",
      action: "Only economy is available.",
    },
  ],
  scenarios: [
    {
      name: "trip",
      entryCondition: "the customer wants to book a trip",
      entryExamples: ["book me a trip"],
      steps: [
        { id: "size", collects: ["size"], transitions: [{ toStepId: "fork" }] },
        {
          id: "fork",
          transitions: [
            { toStepId: "bus", guard: "has(fields.size) && fields.size == 'large'" },
            { toStepId: "car", guard: "has(fields.size) && fields.size != 'large'" },
          ],
        },
        {
          id: "car",
          instructions: "Offer a car and ask whether that is fine.",
          transitions: [{ id: "ok", toStepId: "done", condition: "the customer agrees" }],
        },
        {
          id: "bus",
          instructions: "Offer a bus and ask whether that is fine.",
          transitions: [{ id: "ok", toStepId: "done", condition: "the customer agrees" }],
        },
        { id: "done", terminal: true, instructions: "Say goodbye." },
      ],
    },
  ],
  fieldDefinitions: [{ name: "size", collectionPrompt: "How many are you?" }],
};

const none = { kind: "none", id: "", confidence: 0 };
const judgement = (answer: { move?: object; fields?: object[]; rules?: object[] }) =>
  JSON.stringify({
    intent: "The customer wants to travel.",
    topic: "a trip",
    sentiment: 0,
    signal: "none",
    rules: [],
    move: none,
    fields: [],
    calls: [],
    ...answer,
  });

/** A session that stands at a step with a size already given, and a model that says this of the message. */
async function judged(
  answer: Parameters<typeof judgement>[0],
  stepId: string,
): Promise<TurnUnderTest> {
  const desk = await desks.start(trip, {
    settings: {
      model: {
        provider: "scripted",
        scripted: { replies: ["Fine."], structured: { judgement: judgement(answer) } },
      },
    },
  });
  const { sessionId } = await desk.say("book me a trip");
  const session = desk.peers.sessions.get(sessionId);
  if (!session?.state) throw new Error("the first turn made no session");
  session.state = create(SessionStateSchema, {
    fields: { size: valueOf("small") },
    position: { scenarioId: "trip", stepId, enteredTurn: 1 },
    visits: ["size", "fork", stepId].map((each, i) => ({
      turn: 1,
      scenarioId: "trip",
      stepId: each,
      reason: i === 0 ? VisitReason.ENTRY : VisitReason.AUTO_ADVANCE,
    })),
  });
  await desk.say("well, hm, all of us then", { sessionId });
  return desk;
}

const stepOf = (desk: TurnUnderTest) => desk.peers.commits.at(-1)?.state?.position?.stepId;

describe("a model that reads a message in a scenario", () => {
  it("corrects what was given before, and the way is decided again", async () => {
    const fields = [{ name: "size", value: "large", confidence: 0.9 }];
    const desk = await judged({ fields }, "car");
    expect(stepOf(desk)).toBe("bus");
    expect(desk.peers.record.navigation?.moves).toContainEqual(
      expect.objectContaining({ kind: "return", taken: true, toStepId: "fork" }),
    );
  });
  it("corrects nothing that it is not sure of", async () => {
    const fields = [{ name: "size", value: "large", confidence: 0.8 }];
    const desk = await judged({ fields }, "car");
    expect(stepOf(desk)).toBe("car");
    expect(desk.peers.commits.at(-1)?.state?.fields["size"]?.kind.value).toBe("small");
  });
  it("chooses the edge, or stays when it is not sure", async () => {
    const sure = { kind: "edge", id: "e1", confidence: 0.9 };
    expect(stepOf(await judged({ move: sure }, "car"))).toBe("done");
    expect(stepOf(await judged({ move: { ...sure, confidence: 0.5 } }, "car"))).toBe("car");
  });
  it("lets the customer out", async () => {
    const desk = await judged({ move: { kind: "exit", id: "", confidence: 0.9 } }, "car");
    expect(stepOf(desk)).toBeUndefined();
  });
});
