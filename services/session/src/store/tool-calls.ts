import { ValueSchema } from "@bufbuild/protobuf/wkt";
import type { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import { messageToKeep, storedMessage } from "@soldier/storage/stored-message";
import type { ISql, Sql } from "postgres";
import type {
  Commit,
  ToolCallBegun,
  ToolCallBeginning,
  ToolCallEnd,
  ToolCallEnded,
  Viewer,
} from "./session-store.ts";

/** Times that another call of the same turn may come in between. */
const racesMax = 5;
const table = "session.tool_calls";

interface Row {
  readonly begun: boolean;
  readonly key: string | null;
  readonly same_key: boolean | null;
  readonly same_call: boolean | null;
  readonly same_lease: boolean | null;
  readonly ended_at: Date | null;
  readonly outcome: number | null;
  readonly result: Uint8Array | null;
  readonly reason: string | null;
}

/** One statement. */
export async function beginToolCall(
  sql: Sql,
  viewer: Viewer,
  call: ToolCallBeginning,
): Promise<ToolCallBegun> {
  for (let race = 0; race < racesMax; race++) {
    const row = await noted(sql, viewer, call);
    if (!row) return { kind: "lease-lost" };
    if (row.begun) return { kind: "run", key: call.key };
    if (row.key === null) continue; // begun a moment ago, by another call of this turn
    if (row.same_key && !row.same_call) return { kind: "key-reused" };
    const { key } = row;
    // Sent again: the first answer was lost, so nothing has been run on it.
    if (row.ended_at === null)
      return row.same_key && row.same_lease ? { kind: "run", key } : { kind: "unknown", key };
    return {
      kind: "done",
      key,
      // Written from this enum: the column holds its number.
      outcome: (row.outcome ?? 0) as ToolCallOutcome,
      result: row.result ? storedMessage(ValueSchema, row.result, { table, id: key }) : undefined,
      reason: row.reason ?? "",
    };
  }
  throw new Error(`a tool call was overtaken ${racesMax} times by others of its turn`);
}

/**
 * The lock on the session's row keeps its lease where it is until the row is written: whoever takes the
 * lease afterwards sees what was begun. Rows of the same lease that come at once meet in the unique index.
 */
async function noted(
  sql: Sql,
  { tenantId, subject }: Viewer,
  { lease, key, toolId, argumentsHash, clientKey }: ToolCallBeginning,
): Promise<Row | undefined> {
  const { sessionId, turnId } = lease;
  const token = lease.token.toString();
  const [row] = await sql<Row[]>`
    with holder as materialized (
      select turn_count + 1 as turn_number from sessions
      where tenant_id = ${tenantId} and id = ${sessionId} and deleted_at is null
        and lease_turn_id = ${turnId} and lease_token = ${token}
      for share
    ), known as materialized (
      select t.*,
        t.key = ${key} as same_key,
        t.tool_id = ${toolId} and t.arguments_hash = ${argumentsHash} as same_call,
        t.turn_id = ${turnId} and t.lease_token = ${token} as same_lease
      from holder, tool_calls t
      where t.tenant_id = ${tenantId} and t.session_id = ${sessionId} and (
        t.key = ${key}
        or t.tool_id = ${toolId} and t.arguments_hash = ${argumentsHash}
          and (t.outcome is null or t.outcome in (1, 5))
          and (t.turn_number = holder.turn_number
            or t.subject = ${subject} and t.client_key = ${clientKey ?? null})
      )
      order by t.key = ${key} desc, t.ended_at is not null desc, t.begun_at
      limit 1
    ), begun as (
      insert into tool_calls (tenant_id, session_id, key, turn_id, lease_token, turn_number,
        subject, client_key, tool_id, arguments_hash, begun_at)
      select ${tenantId}, ${sessionId}, ${key}, ${turnId}, ${token}, turn_number,
        ${subject}, ${clientKey ?? null}, ${toolId}, ${argumentsHash}, clock_timestamp()
      from holder where not exists (select from known)
      on conflict do nothing
      returning key
    ), forgotten as (
      -- Of retries that never came, in sessions that have ended.
      delete from tool_calls where tenant_id = ${tenantId} and (session_id, key) in (
        select session_id, key from tool_calls
        where tenant_id = ${tenantId} and session_id <> ${sessionId}
          and begun_at < clock_timestamp() - interval '1 day'
        limit 20 for update skip locked
      )
    )
    select exists (select from begun) as begun, known.key, same_key, same_call, same_lease,
      known.ended_at, known.outcome, known.result, known.reason
    from holder left join known on true`;
  return row;
}

/** One statement. */
export async function endToolCall(
  sql: Sql,
  tenantId: string,
  { lease, key, outcome, result, reason }: ToolCallEnd,
): Promise<ToolCallEnded> {
  const { sessionId, turnId } = lease;
  const token = lease.token.toString();
  const [row] = await sql<{ holds: boolean; known: boolean }[]>`
    with holder as materialized (
      select from sessions
      where tenant_id = ${tenantId} and id = ${sessionId} and deleted_at is null
        and lease_turn_id = ${turnId} and lease_token = ${token}
      for share
    ), ended as (
      update tool_calls set
        ended_at = clock_timestamp(), outcome = ${outcome},
        result = ${result ? messageToKeep(ValueSchema, result) : null}, reason = ${reason}
      where tenant_id = ${tenantId} and session_id = ${sessionId} and key = ${key}
        and ended_at is null
        and (turn_id = ${turnId} and lease_token = ${token} or exists (select from holder))
    )
    select exists (select from holder) as holds, exists (
      select from tool_calls
      where tenant_id = ${tenantId} and session_id = ${sessionId} and key = ${key}
    ) as known`;
  if (!row?.holds) return "lease-lost";
  return row.known ? "ended" : "absent";
}

/**
 * Part of a commit's statement: forgets the session's calls that no later turn has to know of. Those of
 * a turn that was lost stay for the retry that its client's key may still bring.
 */
export function spentToolCalls(sql: ISql, tenantId: string, { lease, turn }: Commit) {
  return sql`
    delete from tool_calls
    where tenant_id = ${tenantId} and session_id = ${lease.sessionId}
      and (client_key is null or client_key = ${turn.idempotencyKey})
      and exists (select from moved)`;
}
