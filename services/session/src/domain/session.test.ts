import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Fault } from "@soldier/kernel/fault";
import { ResourceMetaSchema } from "@soldier/proto/common/v1/resource";
import {
  ScenarioPositionSchema,
  type Session,
  SessionSchema,
  SessionStateSchema,
  SessionStatus,
  VisitReason,
} from "@soldier/proto/session/v1/session";
import { describe, expect, it } from "vitest";
import { closed, deleted, overridden, stateBytes, statusSeen, trimmed } from "./session.ts";

const noon = new Date("2026-11-20T12:00:00Z");
const later = (ms: number) => new Date(noon.getTime() + ms);
const place = (stepId: string) => ({ scenarioId: "returns", scenarioVersion: 3n, stepId });

function session(over: MessageInitShape<typeof SessionSchema> = {}): Session {
  return create(SessionSchema, {
    id: "s-1",
    meta: create(ResourceMetaSchema, {
      createdAt: timestampFromDate(noon),
      updatedAt: timestampFromDate(noon),
      etag: "4",
    }),
    status: SessionStatus.ACTIVE,
    version: 4n,
    turnCount: 3,
    ...over,
  });
}

describe("the status that callers see", () => {
  it("is processing while a turn runs, unless the session is closed", () => {
    expect(statusSeen(session(), true, noon, 1_000)).toBe(SessionStatus.PROCESSING);
    const over = session({ status: SessionStatus.CLOSED });
    expect(statusSeen(over, true, noon, 1_000)).toBe(SessionStatus.CLOSED);
  });

  it("is idle when the last turn, or the opening, is long ago", () => {
    expect(statusSeen(session(), false, later(1_000), 1_000)).toBe(SessionStatus.ACTIVE);
    expect(statusSeen(session(), false, later(1_001), 1_000)).toBe(SessionStatus.IDLE);
    const recent = session({ lastActivityAt: timestampFromDate(later(500)) });
    expect(statusSeen(recent, false, later(1_001), 1_000)).toBe(SessionStatus.ACTIVE);
  });

  it("stays interrupted however long it takes", () => {
    const handed = session({ status: SessionStatus.INTERRUPTED });
    expect(statusSeen(handed, false, later(1e9), 1_000)).toBe(SessionStatus.INTERRUPTED);
  });
});

describe("a state", () => {
  it("keeps the last 50 visits", () => {
    const visits = Array.from({ length: 60 }, (_, turn) => ({ turn, stepId: `step-${turn}` }));
    const kept = trimmed(create(SessionStateSchema, { visits })).visits;
    expect(kept).toHaveLength(50);
    expect(kept.map(({ turn }) => turn)).toEqual(visits.slice(10).map(({ turn }) => turn));
  });

  it("is refused beyond 256 KiB", () => {
    const state = (length: number) =>
      create(SessionStateSchema, { appliedRuleIds: ["x".repeat(length)] });
    expect(() => stateBytes(state(256 * 1024 - 10))).not.toThrow();
    const refused = catching(() => stateBytes(state(256 * 1024)));
    expect(refused.reason).toBe("STATE_TOO_LARGE");
    expect(refused.fields[0]?.field).toBe("state");
  });
});

describe("a move", () => {
  it("makes the next version and leaves what it was given alone", () => {
    const before = session();
    const after = closed(before, later(5));
    expect(after).toMatchObject({ status: SessionStatus.CLOSED, version: 5n, meta: { etag: "5" } });
    expect(after?.meta?.updatedAt).toEqual(timestampFromDate(later(5)));
    expect(before).toEqual(session());
  });

  it("is none when the session is there already", () => {
    expect(closed(session({ status: SessionStatus.CLOSED }), noon)).toBeUndefined();
    const gone = deleted(session(), noon);
    expect(gone?.meta?.deletedAt).toEqual(timestampFromDate(noon));
    expect(gone && deleted(gone, noon)).toBeUndefined();
    expect(overridden(session(), undefined, noon)).toBeUndefined();
  });

  it("to another step is a visit, and forgets what was awaited at the old one", () => {
    const before = session({
      state: { lowConfidenceTurns: 2, awaited: { for: { case: "field", value: "order_id" } } },
    });
    const there = overridden(before, create(ScenarioPositionSchema, place("refund")), noon);
    expect(there?.state?.position).toMatchObject({ stepId: "refund", enteredTurn: 3 });
    expect(there?.state).toMatchObject({ lowConfidenceTurns: 0 });
    expect(there?.state?.awaited).toBeUndefined();
    expect(there?.state?.visits.at(-1)).toMatchObject({
      turn: 3,
      scenarioId: "returns",
      stepId: "refund",
      reason: VisitReason.OVERRIDE,
    });
    const out = there && overridden(there, undefined, noon);
    expect(out?.state?.position).toBeUndefined();
    expect(out?.state?.visits.at(-1)).toMatchObject({ scenarioId: "returns", stepId: "" });
  });

  it("to the same step is made once", () => {
    const to = create(ScenarioPositionSchema, place("refund"));
    const there = overridden(session(), to, noon);
    expect(there && overridden(there, to, noon)).toBeUndefined();
  });
});

function catching(run: () => unknown): Fault {
  try {
    run();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
