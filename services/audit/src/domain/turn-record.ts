import { clone, create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type TurnRecord, TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import type { TurnCommitted } from "@soldier/proto/events/v1/events";

/**
 * The record of a committed turn. What the session service has stored says whose turn it was; how
 * it came about is as its maker told it, or unknown when it told nothing.
 */
export function recordOf(committed: TurnCommitted): TurnRecord | undefined {
  const { tenantId, agentId, customerId, turn, record } = committed;
  if (!turn) return undefined;
  const whole = record ? clone(TurnRecordSchema, record) : create(TurnRecordSchema);
  whole.tenantId = tenantId;
  whole.agentId = agentId;
  whole.customerId = customerId;
  whole.sessionId = turn.sessionId;
  whole.turnId = turn.id;
  whole.turnNumber = turn.number;
  whole.traceId ||= turn.traceId;
  whole.bundleVersion ||= turn.bundleVersion;
  whole.userText ||= turn.userText;
  whole.replyText ||= turn.replyText;
  const received = whole.receivedAt ?? turn.receivedAt;
  if (received) whole.receivedAt = received;
  return whole;
}

/** When its message was received, or else the time given. */
export function receivedAt(record: TurnRecord, otherwise: Date): Date {
  return record.receivedAt ? timestampDate(record.receivedAt) : otherwise;
}
