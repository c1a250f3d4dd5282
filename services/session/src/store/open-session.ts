import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { newId } from "@soldier/kernel/ids";
import { TurnCommittedSchema } from "@soldier/proto/events/v1/events";
import {
  type Session,
  SessionSchema,
  SessionStateSchema,
  SessionStatus,
} from "@soldier/proto/session/v1/session";
import { messageToKeep } from "@soldier/storage/stored-message";
import postgres, { type Sql } from "postgres";
import { stateBytes } from "../domain/session.ts";
import { leaseFrom } from "./rows.ts";
import type { Beginning, GivenLease, Opening, Viewer } from "./session-store.ts";

export type Opened =
  | { readonly kind: "opened"; readonly session: Session; readonly lease: GivenLease }
  /** The key or the turn has a session already. */
  | { readonly kind: "known"; readonly sessionId: string }
  /** Somebody else has just opened one for it; it can be seen now. */
  | { readonly kind: "raced" }
  | { readonly kind: "key-reused" };

interface Row {
  readonly known_session_id: string | null;
  readonly key_reused: boolean;
  readonly lease_token: string | null;
  readonly lease_expires_at: Date | null;
  readonly remaining_ms: number | null;
}

/** Opens a session with its first turn's lease, in one statement. */
export async function openSession(
  sql: Sql,
  viewer: Viewer,
  beginning: Beginning,
  opening: Opening,
): Promise<Opened> {
  const session = fresh(viewer, opening, beginning.now);
  const row = await insert(sql, viewer, beginning, session);
  if (row?.key_reused) return { kind: "key-reused" };
  if (row?.known_session_id) return { kind: "known", sessionId: row.known_session_id };
  if (!row?.lease_token || !row.lease_expires_at || row.remaining_ms === null)
    return { kind: "raced" };
  const { lease_token, lease_expires_at, remaining_ms } = row;
  const given = { lease_token, lease_expires_at, remaining_ms };
  return { kind: "opened", session, lease: leaseFrom(given, session.id, beginning.turnId) };
}

function fresh(viewer: Viewer, opening: Opening, now: Date): Session {
  return create(SessionSchema, {
    id: newId(),
    meta: {
      tenantId: viewer.tenantId,
      agentId: opening.agentId,
      createdAt: timestampFromDate(now),
      updatedAt: timestampFromDate(now),
      etag: "1",
    },
    agentId: opening.agentId,
    customerId: opening.customerId,
    channel: opening.channel,
    status: SessionStatus.ACTIVE,
    version: 1n,
    state: {},
    metadata: { ...opening.metadata },
    openedBy: viewer.subject,
  });
}

async function insert(
  sql: Sql,
  { tenantId, subject }: Viewer,
  { turnId, key, leaseMs, text, now }: Beginning,
  session: Session,
): Promise<Row | undefined> {
  const { agentId, customerId, channel } = session;
  const head = create(TurnCommittedSchema, { tenantId, agentId, customerId, channel });
  const keyText = key?.text ?? null;
  const hash = key?.requestHash ?? null;
  try {
    const [row] = await sql<Row[]>`
      with asked as materialized (
        select session_id, request_hash from turn_keys
        where tenant_id = ${tenantId} and subject = ${subject} and key = ${keyText}
      ), mine as materialized (
        select id from sessions where tenant_id = ${tenantId} and opening_turn_id = ${turnId}
        union
        select session_id from turns where tenant_id = ${tenantId} and id = ${turnId}
        limit 1
      ), fresh as materialized (
        select where not exists (select from asked) and not exists (select from mine)
      ), claimed as (
        -- Of two at once the second waits here for the first, and then gives up its session.
        insert into turn_keys
          (tenant_id, subject, key, request_hash, session_id, turn_id, created_at)
        select ${tenantId}, ${subject}, ${keyText}, ${hash}, ${session.id}, ${turnId}, ${now}
        from fresh where ${keyText}::text is not null
        on conflict do nothing
        returning key
      ), opened as (
        insert into sessions (
          tenant_id, id, agent_id, customer_id, channel, status, version, turn_count, state,
          metadata, opened_by, opening_turn_id, event_head, created_at, updated_at,
          lease_turn_id, lease_token, lease_expires_at, lease_texts
        )
        select
          ${tenantId}, ${session.id}, ${agentId}, ${customerId}, ${channel}, ${session.status},
          1, 0, ${stateBytes(create(SessionStateSchema))},
          ${sql.json(session.metadata)}, ${subject}, ${turnId},
          ${messageToKeep(TurnCommittedSchema, head)}, ${now}, ${now},
          ${turnId}, 1, clock_timestamp() + ${leaseMs} * interval '1 millisecond',
          array[${text}::text]
        from fresh where ${keyText}::text is null or exists (select from claimed)
        returning lease_token, lease_expires_at
      )
      select
        coalesce(asked.session_id, mine.id) as known_session_id,
        asked.request_hash is not null and asked.request_hash <> ${hash} as key_reused,
        opened.lease_token, opened.lease_expires_at, ${leaseMs}::int as remaining_ms
      from (select) as always
      left join asked on true left join mine on true left join opened on true`;
    return row;
  } catch (error) {
    // The same call, sent twice at once: the other one has opened the session.
    if (error instanceof postgres.PostgresError && error.constraint_name === openingTurn)
      return undefined;
    throw error;
  }
}

const openingTurn = "sessions_opening_turn";
