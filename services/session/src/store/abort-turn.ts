import type { ISql, Sql } from "postgres";
import type { HeldLease, UsedToday } from "./session-store.ts";
import { usageAdded } from "./usage.ts";

/** See SessionStore.abort. One statement, or a transaction of two where there is something to count. */
export async function abortTurn(
  sql: Sql,
  tenantId: string,
  lease: HeldLease,
  usage: UsedToday | undefined,
): Promise<void> {
  if (!usage) await free(sql, tenantId, lease);
  else
    await sql.begin(async (tx) => {
      // A commit of the same turn may be under way: it has the row until it ends, and what comes
      // after this statement sees whether it has counted.
      await tx`select from sessions where tenant_id = ${tenantId} and id = ${lease.sessionId} for update`;
      await freeAndCount(tx, tenantId, lease, usage);
    });
}

async function free(sql: ISql, tenantId: string, lease: HeldLease): Promise<void> {
  await sql`${freed(sql, tenantId, lease)}`;
}

async function freeAndCount(
  tx: ISql,
  tenantId: string,
  lease: HeldLease,
  usage: UsedToday,
): Promise<void> {
  const today = tx`(clock_timestamp() at time zone 'utc')::date`;
  await tx`
    with freed as (
      ${freed(tx, tenantId, lease)}
    ), noted as (
      insert into given_up (tenant_id, session_id, lease_token, day)
      select ${tenantId}, ${lease.sessionId}, ${lease.token.toString()}, ${today}
      where not exists (select from turns where tenant_id = ${tenantId} and id = ${lease.turnId})
      on conflict do nothing
      returning day
    ), forgotten as (
      delete from given_up where tenant_id = ${tenantId} and day < ${today} - 1
    )
    ${usageAdded(tx, tenantId, { lease, usage }, tx`from noted`)}
    select`;
}

function freed(sql: ISql, tenantId: string, lease: HeldLease) {
  return sql`
    update sessions set lease_turn_id = null, lease_expires_at = null, lease_texts = '{}'
    where tenant_id = ${tenantId} and id = ${lease.sessionId}
      and lease_turn_id = ${lease.turnId} and lease_token = ${lease.token.toString()}`;
}
