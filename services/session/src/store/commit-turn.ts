import { addToOutbox } from "@soldier/events/outbox";
import { SessionStatus } from "@soldier/proto/session/v1/session";
import postgres, { type ISql, type Sql } from "postgres";
import { stateBytes } from "../domain/session.ts";
import { type SessionRow, sessionFrom, stateFrom, turnBytes, turnFrom } from "./rows.ts";
import type { Commit, Committed } from "./session-store.ts";
import { spentToolCalls } from "./tool-calls.ts";
import { usageAdded } from "./usage.ts";

/** One statement, unless the turn closes the session or cannot be committed. */
export async function commitTurn(sql: Sql, tenantId: string, commit: Commit): Promise<Committed> {
  try {
    const written =
      commit.status === SessionStatus.CLOSED
        ? await sql.begin((tx) => writeAndClose(tx, tenantId, commit))
        : await write(sql, tenantId, commit);
    if (written) return { kind: "committed", ...written, turn: commit.turn };
  } catch (error) {
    if (error instanceof postgres.PostgresError && error.constraint_name === turnsId)
      return { kind: "turn-id-reused" };
    throw error;
  }
  return await refusal(sql, tenantId, commit);
}

const turnsId = "turns_id";

interface Written {
  readonly version: bigint;
  readonly updatedBefore: Date;
}

/**
 * The session's new version; undefined, and nothing written, when the turn may not be committed.
 * What an event says of the session is put before its payload by the database: in protobuf, two
 * encodings one after the other are the encoding of their merge.
 */
async function write(sql: ISql, tenantId: string, commit: Commit): Promise<Written | undefined> {
  const { lease, expectedVersion, state, status, turn, event, now } = commit;
  const [row] = await sql<{ version: string; updated_before: Date }[]>`
    with moved as (
      update sessions set
        version = version + 1, turn_count = turn_count + 1,
        state = ${stateBytes(state)}, status = ${status},
        last_activity_at = ${now}, updated_at = ${now}, updated_before = updated_at,
        lease_turn_id = null, lease_expires_at = null, lease_texts = '{}'
      where tenant_id = ${tenantId} and id = ${lease.sessionId} and deleted_at is null
        and lease_turn_id = ${lease.turnId} and lease_token = ${lease.token.toString()}
        and version = ${expectedVersion.toString()} and turn_count + 1 = ${turn.number}
      returning version, event_head, updated_before
    ), kept as (
      insert into turns (tenant_id, session_id, number, id, version, committed_at, turn)
      select ${tenantId}, ${lease.sessionId}, ${turn.number}, ${lease.turnId}, version, ${now},
        ${turnBytes(turn)}
      from moved
    ), told as (
      insert into outbox (id, tenant_id, topic, payload, traceparent, occurred_at)
      select ${event.id}, ${tenantId}, ${event.topic}, event_head || ${event.payload}::bytea,
        ${event.traceparent ?? null}, ${event.occurredAt}
      from moved
    ), spent as (
      ${spentToolCalls(sql, tenantId, commit)}
    )
    ${usageAdded(sql, tenantId, commit, sql`from moved`)}
    select version, updated_before from moved`;
  return row && { version: BigInt(row.version), updatedBefore: row.updated_before };
}

async function writeAndClose(
  tx: ISql,
  tenantId: string,
  commit: Commit,
): Promise<Written | undefined> {
  const written = await write(tx, tenantId, commit);
  if (!written) return undefined;
  const [row] = await tx<SessionRow[]>`
    select * from sessions where tenant_id = ${tenantId} and id = ${commit.lease.sessionId}`;
  if (row) await addToOutbox(tx, commit.closing(sessionFrom(row, stateFrom(row))));
  return written;
}

interface RefusalRow {
  readonly version: string;
  readonly turn_count: number;
  readonly holds: boolean;
  readonly kept_in: string | null;
  readonly kept_version: string | null;
  readonly kept: Uint8Array | null;
}

/** Why a turn was not committed; that it had been already is the best of reasons. */
async function refusal(sql: Sql, tenantId: string, commit: Commit): Promise<Committed> {
  const { lease, expectedVersion } = commit;
  const [row] = await sql<RefusalRow[]>`
    select s.version, s.turn_count,
      coalesce(s.lease_turn_id = ${lease.turnId} and s.lease_token = ${lease.token.toString()}, false)
        as holds,
      t.session_id as kept_in, t.version as kept_version, t.turn as kept
    from sessions s
    left join turns t on t.tenant_id = ${tenantId} and t.id = ${lease.turnId}
    where s.tenant_id = ${tenantId} and s.id = ${lease.sessionId} and s.deleted_at is null`;
  if (!row) return { kind: "absent" };
  if (row.kept && row.kept_version) {
    if (row.kept_in !== lease.sessionId) return { kind: "turn-id-reused" };
    return {
      kind: "committed",
      version: BigInt(row.kept_version),
      turn: turnFrom(row.kept, lease.sessionId),
    };
  }
  if (!row.holds) return { kind: "lease-lost" };
  const version = BigInt(row.version);
  if (version !== expectedVersion) return { kind: "version-conflict", version };
  return { kind: "wrong-number", expected: row.turn_count + 1 };
}
