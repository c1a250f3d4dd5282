import { tenantSql } from "@soldier/storage/tenant";
import type { Sql } from "postgres";

export interface LatestGroups {
  readonly groupIds: readonly string[];
  /** There are more. */
  readonly partial: boolean;
}

/**
 * The groups of a tenant in which something happened last, at least one, as many as together have no more
 * than so many changes: an episode and its vector are two.
 */
export function latestGroups(
  pool: Sql,
  limits: { readonly groupsMax: number; readonly changesMax: number },
): (tenantId: string) => Promise<LatestGroups> {
  return async (tenantId) => {
    const sql = tenantSql(pool, tenantId);
    const rows = await sql<{ group_id: string; changes: number }[]>`
      select group_id, sum(head) over (order by recorded_at desc, group_id)::float8 as changes
      from (
        select group_id, head, recorded_at from groups
        where tenant_id = ${tenantId} and head > 0
        order by recorded_at desc, group_id limit ${limits.groupsMax + 1}
      ) as latest
      order by recorded_at desc, group_id`;
    const fitting = rows
      .slice(0, limits.groupsMax)
      .filter(({ changes }, i) => i === 0 || changes <= limits.changesMax);
    return {
      groupIds: fitting.map(({ group_id }) => group_id),
      partial: fitting.length < rows.length,
    };
  };
}
