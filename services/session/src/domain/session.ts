import { clone, create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate, timestampMs } from "@bufbuild/protobuf/wkt";
import { withChecksum } from "@soldier/kernel/checksum";
import { Fault } from "@soldier/kernel/fault";
import {
  type ScenarioPosition,
  type Session,
  SessionSchema,
  type SessionState,
  SessionStateSchema,
  SessionStatus,
  StepVisitSchema,
  VisitReason,
} from "@soldier/proto/session/v1/session";

const visitsMax = 50;
const stateBytesMax = 256 * 1024;

/** The status that callers see: a stored one, or what the lease and the time since say. */
export function statusSeen(
  session: Session,
  leased: boolean,
  now: Date,
  idleAfterMs: number,
): SessionStatus {
  if (session.status === SessionStatus.CLOSED) return SessionStatus.CLOSED;
  if (leased) return SessionStatus.PROCESSING;
  if (session.status !== SessionStatus.ACTIVE) return session.status;
  const since = session.lastActivityAt ?? session.meta?.createdAt;
  const quietMs = since ? now.getTime() - timestampMs(since) : 0;
  return quietMs > idleAfterMs ? SessionStatus.IDLE : SessionStatus.ACTIVE;
}

/** The state with its oldest visits dropped when there are more than 50. */
export function trimmed(state: SessionState): SessionState {
  return { ...state, visits: state.visits.slice(-visitsMax) };
}

/**
 * The state as it is stored. Throws the Fault "invalid" with STATE_TOO_LARGE when it takes more than
 * 256 KiB: a state holds no history.
 */
export function stateBytes(state: SessionState): Uint8Array {
  const bytes = toBinary(SessionStateSchema, state);
  const sizeBytes = bytes.byteLength;
  if (sizeBytes <= stateBytesMax) return withChecksum(bytes);
  const text = `the session's state takes ${sizeBytes} bytes; it may take ${stateBytesMax}`;
  throw new Fault("invalid", text, {
    reason: "STATE_TOO_LARGE",
    fields: [{ field: "state", description: "keep fewer variables, fields and tool results" }],
  });
}

/** The session, ended. Undefined when it is so already. */
export function closed(session: Session, now: Date): Session | undefined {
  if (session.status === SessionStatus.CLOSED) return undefined;
  const next = changed(session, now);
  next.status = SessionStatus.CLOSED;
  return next;
}

/** The session, hidden. Undefined when it is so already. */
export function deleted(session: Session, now: Date): Session | undefined {
  if (session.meta?.deletedAt) return undefined;
  const next = changed(session, now);
  if (next.meta) next.meta.deletedAt = timestampFromDate(now);
  return next;
}

/**
 * The session at another step, or with no position out of its scenario. What the agent was waiting
 * for at the old step is forgotten. Undefined when an operator has put it there already.
 */
export function overridden(
  session: Session,
  to: ScenarioPosition | undefined,
  now: Date,
): Session | undefined {
  const from = session.state?.position;
  if (!to && !from) return undefined;
  if (to && isSamePlace(from, to) && wasOverridden(session)) return undefined;
  const next = changed(session, now);
  const state = next.state ?? create(SessionStateSchema);
  if (to) state.position = { ...to, enteredTurn: session.turnCount };
  else delete state.position;
  delete state.awaited;
  state.lowConfidenceTurns = 0;
  state.visits.push(
    create(StepVisitSchema, {
      turn: session.turnCount,
      scenarioId: to?.scenarioId ?? from?.scenarioId ?? "",
      stepId: to?.stepId ?? "",
      reason: VisitReason.OVERRIDE,
      confidence: 1,
    }),
  );
  next.state = trimmed(state);
  stateBytes(next.state);
  return next;
}

function changed(session: Session, now: Date): Session {
  const next = clone(SessionSchema, session);
  next.version += 1n;
  if (next.meta) {
    next.meta.updatedAt = timestampFromDate(now);
    next.meta.etag = String(next.version);
  }
  return next;
}

function isSamePlace(a: ScenarioPosition | undefined, b: ScenarioPosition): boolean {
  return (
    a?.scenarioId === b.scenarioId &&
    a.stepId === b.stepId &&
    a.scenarioVersion === b.scenarioVersion
  );
}

function wasOverridden(session: Session): boolean {
  return session.state?.visits.at(-1)?.reason === VisitReason.OVERRIDE;
}
