import { clone, create, isMessage } from "@bufbuild/protobuf";
import { SessionStateSchema, VisitReason } from "@soldier/proto/session/v1/session";
import { expect, it } from "vitest";
import { valueOf } from "./json.ts";
import { copied } from "./session-state.ts";

const state = create(SessionStateSchema, {
  position: { scenarioId: "return", stepId: "ask" },
  visits: [{ turn: 1, scenarioId: "return", reason: VisitReason.ENTRY }],
  fields: { order: valueOf("A-1") },
  appliedRuleIds: ["greeting"],
  toolsDone: ["lookup"],
});

it("has all that the state has", () => {
  const copy = copied(state);
  expect(copy).toEqual(state);
  expect(isMessage(copy, SessionStateSchema)).toBe(true);
});

it("leaves the state as it is, whatever is put into or taken from the copy", () => {
  const before = clone(SessionStateSchema, state);
  const copy = copied(state);
  for (const value of Object.values<unknown>({ ...copy })) {
    if (Array.isArray(value)) value.pop();
    else if (typeof value === "object" && value !== null && !isMessage(value))
      Object.assign(value, { more: valueOf("something") });
  }
  delete copy.position;
  copy.lowConfidenceTurns = 3;
  expect(state).toEqual(before);
});
