import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { eraseSessions } from "./erase-sessions.ts";
import { addToOutbox } from "@soldier/events/outbox";
import { SessionStateSchema, SessionStatus } from "@soldier/proto/session/v1/session";
import { readEach } from "@soldier/storage/damaged-rows";
import { tenantSql } from "@soldier/storage/tenant";
import type { Fragment, Sql } from "postgres";
import { stateBytes } from "../domain/session.ts";
import { abortTurn } from "./abort-turn.ts";
import { beginTurn } from "./begin-turn.ts";
import { commitTurn } from "./commit-turn.ts";
import {
  type LeaseRow,
  leaseFrom,
  sessionFrom,
  type SessionRow,
  stateFrom,
  storedFrom,
  turnFrom,
} from "./rows.ts";
import type { SessionFilter, SessionStore } from "./session-store.ts";
import { beginToolCall, endToolCall } from "./tool-calls.ts";
import { usageToday } from "./usage.ts";

type FoundRow = SessionRow & { readonly leased: boolean };

/** Sessions in PostgreSQL: the truth, and the clock of the leases. */
export function postgresSessionStore(pool: Sql): SessionStore {
  const leased = pool`(lease_turn_id is not null and lease_expires_at > clock_timestamp())`;
  return {
    begin: (viewer, beginning) => beginTurn(tenantSql(pool, viewer.tenantId), viewer, beginning),
    commit: (tenantId, commit) => commitTurn(tenantSql(pool, tenantId), tenantId, commit),
    beginToolCall: (viewer, call) => beginToolCall(tenantSql(pool, viewer.tenantId), viewer, call),
    endToolCall: (tenantId, end) => endToolCall(tenantSql(pool, tenantId), tenantId, end),
    erase: (tenantId, erasure) => eraseSessions(tenantSql(pool, tenantId), tenantId, erasure),
    usageToday: (tenantId) => usageToday(tenantSql(pool, tenantId), tenantId),

    async renew(tenantId, lease, leaseMs) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<LeaseRow[]>`
        update sessions set lease_expires_at = clock_timestamp() + ${leaseMs} * interval '1 millisecond'
        where tenant_id = ${tenantId} and id = ${lease.sessionId} and deleted_at is null
          and lease_turn_id = ${lease.turnId} and lease_token = ${lease.token.toString()}
        returning lease_token, lease_expires_at, ${leaseMs}::int as remaining_ms`;
      return row && leaseFrom(row, lease.sessionId, lease.turnId);
    },

    abort: (tenantId, lease, usage) => abortTurn(tenantSql(pool, tenantId), tenantId, lease, usage),

    async get({ tenantId, subject, seesAll }, sessionId) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<FoundRow[]>`
        select *, ${leased} as leased from sessions
        where tenant_id = ${tenantId} and id = ${sessionId} and deleted_at is null
          and (opened_by = ${subject} or ${seesAll}::boolean)`;
      return row && storedFrom(row, stateFrom(row));
    },

    async list({ tenantId, subject, seesAll }, filter, { rowsMax, before, onDamaged }) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<FoundRow[]>`
        select *, ${leased} as leased from sessions
        where tenant_id = ${tenantId} and deleted_at is null
          and (opened_by = ${subject} or ${seesAll}::boolean)
          ${filter.agentId ? sql`and agent_id = ${filter.agentId}` : sql``}
          ${filter.customerId ? sql`and customer_id = ${filter.customerId}` : sql``}
          ${before ? sql`and id < ${before}` : sql``}
          ${inStatus(sql, leased, filter)}
        order by id desc limit ${rowsMax}`;
      const read = (row: FoundRow) => storedFrom(row, stateFrom(row));
      return readEach(rows, read, ({ id }) => id, onDamaged);
    },

    async turns({ tenantId, subject, seesAll }, sessionId, { rowsMax, before, onDamaged }) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<{ number: number | null; turn: Uint8Array | null }[]>`
        select t.number, t.turn from sessions s
        left join lateral (
          select number, turn from turns
          where tenant_id = ${tenantId} and session_id = ${sessionId}
            ${before === undefined ? sql`` : sql`and number < ${before}`}
          order by number desc limit ${rowsMax}
        ) t on true
        where s.tenant_id = ${tenantId} and s.id = ${sessionId} and s.deleted_at is null
          and (s.opened_by = ${subject} or ${seesAll}::boolean)
        order by t.number desc`;
      if (rows.length === 0) return undefined;
      const found = rows.flatMap(({ number, turn }) => (turn && number ? [{ number, turn }] : []));
      const read = ({ turn }: { turn: Uint8Array }) => turnFrom(turn, sessionId);
      return readEach(found, read, ({ number }) => number, onDamaged);
    },

    change: ({ tenantId, subject, seesAll }, sessionId, move) =>
      tenantSql(pool, tenantId).begin(async (tx) => {
        const [row] = await tx<FoundRow[]>`
          select *, ${leased} as leased from sessions
          where tenant_id = ${tenantId} and id = ${sessionId}
            and (opened_by = ${subject} or ${seesAll}::boolean)
          for update`;
        if (!row) return undefined;
        const change = move(sessionFrom(row, stateFrom(row)));
        if (!change) return storedFrom(row, stateFrom(row));
        const { session, endsTurn, events } = change;
        const { updatedAt, deletedAt } = session.meta ?? {};
        await tx`
          update sessions set
            version = ${session.version.toString()}, status = ${session.status},
            state = ${stateBytes(session.state ?? create(SessionStateSchema))},
            updated_at = ${updatedAt ? timestampDate(updatedAt) : row.updated_at},
            deleted_at = ${deletedAt ? timestampDate(deletedAt) : null}
            ${endsTurn ? tx`, lease_turn_id = null, lease_expires_at = null, lease_texts = '{}'` : tx``}
          where tenant_id = ${tenantId} and id = ${sessionId}`;
        await addToOutbox(tx, events);
        return { session, leased: row.leased && !endsTurn };
      }),
  };
}

/** The condition that statusSeen of the domain puts into words. */
function inStatus(sql: Sql, leased: Fragment, { status, idleBefore }: SessionFilter): Fragment {
  const lastActive = sql`coalesce(last_activity_at, created_at)`;
  switch (status) {
    case SessionStatus.UNSPECIFIED:
      return sql``;
    case SessionStatus.CLOSED:
      return sql`and status = ${status}`;
    case SessionStatus.PROCESSING:
      return sql`and status <> ${SessionStatus.CLOSED} and ${leased}`;
    case SessionStatus.INTERRUPTED:
      return sql`and status = ${status} and not ${leased}`;
    case SessionStatus.IDLE:
      return sql`and status = ${SessionStatus.ACTIVE} and not ${leased} and ${lastActive} < ${idleBefore}`;
    case SessionStatus.ACTIVE:
      return sql`and status = ${status} and not ${leased} and ${lastActive} >= ${idleBefore}`;
    default:
      return sql`and false`; // a status of a newer contract: no session is in it
  }
}
