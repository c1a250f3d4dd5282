import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ScenarioPositionSchema,
  SessionStateSchema,
  type StepVisitSchema,
  VisitReason,
} from "@soldier/proto/session/v1/session";
import { describe, expect, it } from "vitest";
import { valueOf } from "./json.ts";
import { fieldsOfLastRun, withoutFields } from "./reentry.ts";
import { someBundle } from "./testing.ts";

const step = (id: string, collects: string[]) => ({ id, collects });
const bundle = someBundle({
  scenarios: [
    { id: "return", name: "return", steps: [step("ask", ["order_id", "email"])] },
    { id: "invoice", name: "invoice", steps: [step("ask", ["email"])] },
  ],
});

type Visit = MessageInitShape<typeof StepVisitSchema>;
const entry = (scenarioId: string, turn: number): Visit => ({
  scenarioId,
  stepId: "ask",
  turn,
  reason: VisitReason.ENTRY,
});
const exit = (scenarioId: string, turn: number): Visit => ({
  scenarioId,
  turn,
  reason: VisitReason.EXIT,
});

const stateWith = (visits: Visit[]) =>
  create(SessionStateSchema, {
    visits,
    fields: { order_id: valueOf("L-5"), email: valueOf("a@b.c"), note: valueOf("x") },
  });

function forgotten(before: Visit[], ...more: Visit[]) {
  const { visits } = stateWith([...before, ...more]);
  const scenarioId = more.findLast(({ reason }) => reason === VisitReason.ENTRY)?.scenarioId;
  const position = create(ScenarioPositionSchema, { scenarioId: scenarioId ?? "return" });
  return fieldsOfLastRun(stateWith(before), { visits, position }, bundle);
}

describe("a scenario that is entered", () => {
  it("for the first time, or gone on with, forgets nothing", () => {
    expect(forgotten([], entry("return", 1))).toEqual([]);
    expect(
      forgotten([entry("return", 1)], { ...entry("return", 2), reason: VisitReason.TRANSITION }),
    ).toEqual([]);
  });
  it("again forgets what its last run collected, and nothing else", () => {
    const before = [entry("return", 1), exit("return", 2)];
    expect(forgotten(before, entry("return", 3))).toEqual(["order_id", "email"]);
    const state = withoutFields(stateWith(before), ["order_id", "email"]);
    expect(Object.keys(state.fields)).toEqual(["note"]);
  });
  it("again in the turn in which it was left forgets it, too", () => {
    const before = [entry("return", 1)];
    expect(forgotten(before, exit("return", 1), entry("return", 1))).toEqual(["order_id", "email"]);
  });
  it("keeps what another scenario has collected since", () => {
    const before = [entry("return", 1), exit("return", 2), entry("invoice", 2), exit("invoice", 3)];
    expect(forgotten(before, entry("return", 4))).toEqual(["order_id"]);
  });
});
