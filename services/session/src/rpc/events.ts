import type { JsonObject } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Event, newEvent, topic } from "@soldier/events/event";
import { traceparentOfNow } from "@soldier/events/tracing";
import { newId } from "@soldier/kernel/ids";
import type { CommitTurnRequest } from "@soldier/proto/session/v1/session_service";
import {
  AuditRecordedSchema,
  SessionClosedSchema,
  TurnCommittedSchema,
} from "@soldier/proto/events/v1/events";
import type { Session, Turn } from "@soldier/proto/session/v1/session";
import type { Viewer } from "../store/session-store.ts";

const turnCommittedTopic = topic("turn.committed", TurnCommittedSchema);
const sessionClosedTopic = topic("session.closed", SessionClosedSchema);
const auditTopic = topic("audit.event", AuditRecordedSchema);

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
    audited(viewer, session, "session.closed", {}, now),
  ];
}

/** Says who did what to a session. The details must not hold secrets or customers' text. */
export function audited(
  { tenantId, subject }: Viewer,
  session: Session,
  action: string,
  details: JsonObject,
  now: Date,
): Event {
  const event = {
    id: newId(),
    tenantId,
    actor: subject,
    action,
    resourceKind: "session",
    resourceId: session.id,
    occurredAt: timestampFromDate(now),
    traceId: traceparentOfNow()?.split("-")[1] ?? "",
    details,
  };
  return newEvent(auditTopic, tenantId, { event }, now);
}
