import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type TurnRecord, TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import type { TurnCommitted } from "@soldier/proto/events/v1/events";

/**
 * The record of a committed turn. What the session service has stored says whose turn it was; how
 * it came about is as its maker told it, or unknown when it told nothing.
 */
export function recordOf(
  committed: TurnCommitted & { readonly turn: NonNullable<TurnCommitted["turn"]> },
): TurnRecord {
  const { tenantId, agentId, customerId, turn, record } = committed;
  const told = record ?? create(TurnRecordSchema);
  const received = told.receivedAt ?? turn.receivedAt;
  return {
    ...told,
    tenantId,
    agentId,
    customerId,
    sessionId: turn.sessionId,
    turnId: turn.id,
    turnNumber: turn.number,
    traceId: told.traceId || turn.traceId,
    bundleVersion: told.bundleVersion || turn.bundleVersion,
    userText: told.userText || turn.userText,
    replyText: told.replyText || turn.replyText,
    ...(received && { receivedAt: received }),
  };
}

/** When its message was received, or else the time given. */
export function receivedAt(record: TurnRecord, otherwise: Date): Date {
  return record.receivedAt ? timestampDate(record.receivedAt) : otherwise;
}
