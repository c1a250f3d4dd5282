import type { Fragment, ISql, Sql } from "postgres";
import type { Commit, UsedToday } from "./session-store.ts";

/** Rows that a tenant's day is spread over. */
const shards = 16;

/** Part of a commit's statement: adds to the tenant's day and, as it begins, forgets all before the last. */
export function usageAdded(
  sql: ISql,
  tenantId: string,
  { lease, usage }: Pick<Commit, "lease" | "usage">,
  /** Where there is a row when it is to be added. */
  source: Fragment,
) {
  if (!usage) return sql``;
  return sql`
    , added as (
      insert into usage as u (tenant_id, day, shard, tokens, cost_micros)
      select ${tenantId}, (clock_timestamp() at time zone 'utc')::date, ${shardOf(lease.sessionId)},
        ${usage.tokens.toString()}, ${usage.costMicros.toString()}
      ${source}
      on conflict (tenant_id, day, shard) do update set
        tokens = u.tokens + excluded.tokens, cost_micros = u.cost_micros + excluded.cost_micros
      returning day, xmax = 0 as is_first
    ), outdated as (
      delete from usage u using added
      where u.tenant_id = ${tenantId} and added.is_first and u.day < added.day - 1
    )`;
}

export async function usageToday(sql: Sql, tenantId: string): Promise<UsedToday> {
  const [row] = await sql<{ tokens: string; cost_micros: string }[]>`
    select coalesce(sum(tokens), 0)::bigint as tokens,
      coalesce(sum(cost_micros), 0)::bigint as cost_micros
    from usage
    where tenant_id = ${tenantId} and day = (clock_timestamp() at time zone 'utc')::date`;
  return { tokens: BigInt(row?.tokens ?? 0), costMicros: BigInt(row?.cost_micros ?? 0) };
}

/** By the random end of a session's id. */
function shardOf(sessionId: string): number {
  return Number.parseInt(sessionId.slice(-2), 16) % shards;
}
