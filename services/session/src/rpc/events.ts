import type { JsonObject } from "@bufbuild/protobuf";
import { audited } from "@soldier/events/audited";
import { type Event, newEvent } from "@soldier/events/event";
import { sessionClosedTopic, turnCommittedTopic } from "@soldier/events/topics";
import type { CommitTurnRequest } from "@soldier/proto/session/v1/session_service";
import type { Session, Turn } from "@soldier/proto/session/v1/session";
import type { Viewer } from "../store/session-store.ts";

/** Without what is the same for all turns of a session: the store adds it. */
export function turnCommitted(
  { tenantId }: Viewer,
  turn: Turn,
  { record, extractedFields }: CommitTurnRequest,
  now: Date,
): Event {
  const { sessionId, id: turnId, number: turnNumber } = turn;
  const whole = record && { ...record, tenantId, sessionId, turnId, turnNumber };
  return newEvent(
    turnCommittedTopic,
    tenantId,
    { turn, extractedFields, ...(whole && { record: whole }) },
    now,
  );
}

export function sessionClosed(viewer: Viewer, session: Session, now: Date): readonly Event[] {
  const { tenantId } = viewer;
  return [
    newEvent(sessionClosedTopic, tenantId, { tenantId, session }, now),
    sessionAudited(viewer, session, "session.closed", {}, now),
  ];
}

/** Says who did what to a session. The details must not hold secrets or customers' text. */
export function sessionAudited(
  viewer: Viewer,
  session: Session,
  action: string,
  details: JsonObject,
  now: Date,
): Event {
  const act = { action, resourceKind: "session", resourceId: session.id, details };
  return audited(viewer, act, now);
}
