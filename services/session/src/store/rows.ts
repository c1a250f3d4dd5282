import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Session,
  SessionSchema,
  type SessionState,
  SessionStateSchema,
  type Turn,
  TurnSchema,
} from "@soldier/proto/session/v1/session";
import { messageToKeep, storedMessage } from "@soldier/storage/stored-message";
import type { GivenLease, Stored } from "./session-store.ts";

/** A row of sessions. The driver gives bigint as text. */
export interface SessionRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly agent_id: string;
  readonly customer_id: string;
  readonly channel: number;
  readonly status: number;
  readonly version: string;
  readonly turn_count: number;
  readonly state: Uint8Array;
  readonly metadata: Readonly<Record<string, string>>;
  readonly migration_plan_id: string | null;
  readonly opened_by: string;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly last_activity_at: Date | null;
  readonly deleted_at: Date | null;
}

export function storedFrom(
  row: Omit<SessionRow, "state"> & { readonly leased: boolean },
  state: SessionState | undefined,
): Stored {
  return { session: sessionFrom(row, state), leased: row.leased };
}

export function stateFrom({
  id,
  state,
  turn_count,
}: Pick<SessionRow, "id" | "state" | "turn_count">): SessionState {
  // An earlier release kept nothing of a session without a turn.
  if (turn_count === 0 && state.byteLength === 0) return create(SessionStateSchema);
  return storedMessage(SessionStateSchema, state, { table: "session.sessions", id });
}

export function sessionFrom(
  row: Omit<SessionRow, "state">,
  state: SessionState | undefined,
): Session {
  return create(SessionSchema, {
    id: row.id,
    meta: {
      tenantId: row.tenant_id,
      agentId: row.agent_id,
      createdAt: timestampFromDate(row.created_at),
      updatedAt: timestampFromDate(row.updated_at),
      ...(row.deleted_at && { deletedAt: timestampFromDate(row.deleted_at) }),
      etag: row.version,
    },
    agentId: row.agent_id,
    customerId: row.customer_id,
    // Written from these enums: columns hold their numbers.
    channel: row.channel as Session["channel"],
    status: row.status as Session["status"],
    version: BigInt(row.version),
    turnCount: row.turn_count,
    ...(state && { state }),
    ...(row.last_activity_at && { lastActivityAt: timestampFromDate(row.last_activity_at) }),
    metadata: { ...row.metadata },
    migrationPlanId: row.migration_plan_id ?? "",
    openedBy: row.opened_by,
  });
}

/** One of the session's turns. */
export function turnFrom(bytes: Uint8Array, sessionId: string): Turn {
  return storedMessage(TurnSchema, bytes, { table: "session.turns", id: sessionId });
}

/**
 * Turns one after the other, each behind its length in four bytes. As an array they would be read letter
 * by letter: the driver knows no other way, and it cost more than all the rest of a turn's beginning.
 */
export function turnsFrom(bytes: Uint8Array, sessionId: string): readonly Turn[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const turns: Turn[] = [];
  for (let at = 0; at < bytes.byteLength;) {
    const end = at + 4 + view.getInt32(at);
    turns.push(turnFrom(bytes.subarray(at + 4, end), sessionId));
    at = end;
  }
  return turns;
}

export function turnBytes(turn: Turn): Uint8Array {
  return messageToKeep(TurnSchema, turn);
}

export interface LeaseRow {
  readonly lease_token: string;
  readonly lease_expires_at: Date;
  readonly remaining_ms: number;
}

export function leaseFrom(row: LeaseRow, sessionId: string, turnId: string): GivenLease {
  return {
    sessionId,
    turnId,
    token: BigInt(row.lease_token),
    expiresAt: row.lease_expires_at,
    remainingMs: row.remaining_ms,
  };
}
