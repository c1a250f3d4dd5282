import type { Sql } from "postgres";
import type { Turn } from "@soldier/proto/session/v1/session";
import {
  type LeaseRow,
  leaseFrom,
  type SessionRow,
  stateFrom,
  storedFrom,
  turnFrom,
  turnsFrom,
} from "./rows.ts";
import { takeovers } from "./lease-metrics.ts";
import { openSession } from "./open-session.ts";
import type { Beginning, Begun, Viewer } from "./session-store.ts";

/**
 * How often a statement is sent again because somebody else changed, between its snapshot and its
 * lock, what it had read. Each time means that another turn of the session moved on.
 */
const racesMax = 20;

/** Messages that one turn answers beside its own, at most. */
const supersededMax = 10;

/** One statement, unless the call is a repeated or a contended one. */
export async function beginTurn(sql: Sql, viewer: Viewer, beginning: Beginning): Promise<Begun> {
  const { target } = beginning;
  let sessionId = target.kind === "existing" ? target.sessionId : undefined;
  for (let race = 0; race < racesMax; race++) {
    if (sessionId === undefined && target.kind === "new") {
      const opened = await openSession(sql, viewer, beginning, target);
      if (opened.kind === "key-reused") return { kind: "key-reused" };
      if (opened.kind === "opened") {
        const { session, lease } = opened;
        return {
          kind: "begun",
          stored: { session, leased: false },
          lease,
          history: [],
          superseded: [],
        };
      }
      if (opened.kind === "known") sessionId = opened.sessionId;
    }
    if (sessionId === undefined) continue;
    const begun = await beginIn(sql, viewer, sessionId, beginning);
    if (begun) return begun;
  }
  throw new Error(`no turn could be begun in ${racesMax} attempts: all were overtaken`);
}

type Decision =
  | "raced"
  | "key-reused"
  | "turn-id-reused"
  | "answered"
  | "closed"
  | "in-progress"
  | "busy"
  | "begun";

interface Row extends Omit<SessionRow, "state"> {
  readonly decision: Decision;
  /** Whether the session is as it was kept: then neither state nor history is read. */
  readonly is_kept: boolean;
  readonly state: Uint8Array | null;
  readonly leased: boolean;
  /** Whether another turn's lease was found, that had run out or was taken away. */
  readonly took_over: boolean;
  /** Of the lease that was found. */
  readonly held_ms: number | null;
  readonly answer: Uint8Array | null;
  /** Of the lease that was given; null when none was. */
  readonly given_token: string | null;
  readonly given_expires_at: Date | null;
  /** What the turn is to answer, its own text last; null when no lease was given. */
  readonly given_texts: readonly string[] | null;
  /** See turnsFrom. */
  readonly history: Uint8Array | null;
}

/** Undefined when it must be asked again. */
async function beginIn(
  sql: Sql,
  viewer: Viewer,
  sessionId: string,
  beginning: Beginning,
): Promise<Begun | undefined> {
  const row = await decide(sql, viewer, sessionId, beginning);
  if (!row) return { kind: "absent" };
  const { kept } = beginning;
  const { state } = row;
  const stored = storedFrom(row, state === null ? kept?.state : stateFrom({ ...row, state }));
  const remainingMs = Math.max(0, row.held_ms ?? 0);
  switch (row.decision) {
    case "raced":
      return undefined;
    case "key-reused":
    case "turn-id-reused":
    case "closed":
      return { kind: row.decision };
    case "in-progress":
    case "busy":
      return { kind: row.decision, stored, remainingMs };
    case "answered":
      return row.answer
        ? { kind: "answered", stored, turn: turnFrom(row.answer, sessionId) }
        : undefined;
    case "begun": {
      // Without a lease the key went to another session at the same moment.
      if (row.given_token === null || row.given_expires_at === null) return undefined;
      if (row.took_over) takeovers.inc({ how: row.leased ? "superseded" : "expired" });
      const given: LeaseRow = {
        lease_token: row.given_token,
        lease_expires_at: row.given_expires_at,
        remaining_ms: beginning.leaseMs,
      };
      return {
        kind: "begun",
        stored: { ...stored, leased: false },
        lease: leaseFrom(given, sessionId, beginning.turnId),
        history:
          row.is_kept && kept
            ? latest(kept.turns, beginning.historyMax)
            : turnsFrom(row.history ?? Uint8Array.of(), sessionId),
        superseded: (row.given_texts ?? []).slice(0, -1),
      };
    }
  }
}

function latest(turns: readonly Turn[], max: number): readonly Turn[] {
  return turns.slice(Math.max(0, turns.length - max));
}

/**
 * Reads by the statement's snapshot, then locks the session's latest row. A session's turns and
 * keys change only together with its version or its lease's token: if the locked row has those of
 * the snapshot, so is everything else that was read; if not, the decision is "raced" and nothing
 * is written. Time is read after the lock was got.
 */
async function decide(
  sql: Sql,
  { tenantId, subject, seesAll }: Viewer,
  sessionId: string,
  { turnId, key, leaseMs, supersede, text, historyMax, kept, now }: Beginning,
): Promise<Row | undefined> {
  const keyText = key?.text ?? null;
  const hash = key?.requestHash ?? null;
  const keptVersion = kept?.version.toString() ?? null;
  const keptAt = kept?.updatedAt ?? null;
  const [row] = await sql<Row[]>`
    with asked as materialized (
      select session_id, turn_id, request_hash from turn_keys
      where tenant_id = ${tenantId} and subject = ${subject} and key = ${keyText}
    ), seen as materialized (
      select version, lease_token from sessions
      where tenant_id = ${tenantId} and id = ${sessionId}
    ), found as materialized (
      select *, coalesce(
        version = ${keptVersion}::bigint
          and date_trunc('milliseconds', updated_at) = ${keptAt}::timestamptz, false) as is_kept
      from sessions
      where tenant_id = ${tenantId} and id = ${sessionId} and deleted_at is null
        and (opened_by = ${subject} or ${seesAll}::boolean)
      for update
    ), timed as materialized (
      select *, clock_timestamp() as read_at from found
    ), locked as materialized (
      select *, lease_turn_id is not null and lease_expires_at > read_at as leased from timed
    ), decided as materialized (
      select locked.*, coalesce(keyed.turn, repeated.turn) as answer,
        case
          when seen.version <> locked.version or seen.lease_token <> locked.lease_token then 'raced'
          when asked.session_id <> locked.id or asked.request_hash <> ${hash} then 'key-reused'
          when repeated.session_id <> locked.id then 'turn-id-reused'
          when keyed.id is not null or repeated.id is not null then 'answered'
          when locked.status = 5 then 'closed'
          when not locked.leased or locked.lease_turn_id = ${turnId} then 'begun'
          when locked.lease_turn_id = asked.turn_id then 'in-progress'
          when ${supersede}::boolean then 'begun'
          else 'busy'
        end as decision
      from locked
      left join seen on true
      left join asked on true
      left join turns keyed on keyed.tenant_id = ${tenantId} and keyed.id = asked.turn_id
      left join turns repeated on repeated.tenant_id = ${tenantId} and repeated.id = ${turnId}
    ), noted as (
      insert into turn_keys
        (tenant_id, subject, key, request_hash, session_id, turn_id, created_at)
      select ${tenantId}, ${subject}, ${keyText}, ${hash}, ${sessionId}, ${turnId}, ${now}
      from decided where decision = 'begun' and ${keyText}::text is not null
      on conflict (tenant_id, subject, key) do update
        set turn_id = excluded.turn_id, created_at = excluded.created_at
        where turn_keys.session_id = excluded.session_id
          and turn_keys.request_hash = excluded.request_hash
      returning key
    ), given as (
      update sessions s set
        lease_turn_id = ${turnId},
        lease_token = d.lease_token + (d.lease_turn_id is distinct from ${turnId})::int,
        lease_expires_at = d.read_at + ${leaseMs} * interval '1 millisecond',
        lease_texts = case
          when d.lease_turn_id = ${turnId} then d.lease_texts
          when d.leased then d.lease_texts[greatest(1, cardinality(d.lease_texts) - ${supersededMax - 1}):]
          else '{}'
        end || case when d.lease_turn_id is distinct from ${turnId} then array[${text}::text] else '{}' end
      from decided d
      where s.tenant_id = ${tenantId} and s.id = ${sessionId} and d.decision = 'begun'
        and (${keyText}::text is null or exists (select from noted))
      returning s.lease_token, s.lease_expires_at, s.lease_texts
    )
    select
      d.tenant_id, d.id, d.agent_id, d.customer_id, d.channel, d.status, d.version, d.turn_count,
      d.metadata, d.migration_plan_id, d.opened_by, d.created_at, d.updated_at, d.last_activity_at,
      d.deleted_at, d.decision, d.leased, d.answer, d.is_kept,
      coalesce(d.lease_turn_id <> ${turnId}, false) as took_over,
      case when not d.is_kept then d.state end as state,
      ceil(extract(epoch from d.lease_expires_at - d.read_at) * 1000)::int as held_ms,
      given.lease_token as given_token, given.lease_expires_at as given_expires_at,
      given.lease_texts as given_texts,
      case when d.decision = 'begun' and not d.is_kept then (
        select string_agg(int4send(length(latest.turn)) || latest.turn, '' order by latest.number) from (
          select number, turn from turns
          where tenant_id = ${tenantId} and session_id = ${sessionId}
          order by number desc limit ${historyMax}
        ) latest
      ) end as history
    from decided d left join given on true`;
  return row;
}
