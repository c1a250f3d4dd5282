import { everyTenantSql, tenantSql } from "@soldier/storage/tenant";
import type { Sql } from "postgres";

/** What an agent keeps no longer. */
export interface Expired {
  readonly tenantId: string;
  readonly agentId: string;
  /** What happened before then. */
  readonly before: Date;
}

/** How long agents keep what they heard and said. */
export interface RetentionStore {
  /** As this version of the agent says; 0 days: for good. Versions may come in any order. */
  keep(tenantId: string, agentId: string, version: bigint, keepDays: number): Promise<void>;
  /** Agents of every tenant that hold what they keep no longer, by whole days (UTC). */
  expired(now: Date): Promise<readonly Expired[]>;
}

export function postgresRetentionStore(pool: Sql): RetentionStore {
  return {
    async keep(tenantId, agentId, version, keepDays) {
      await tenantSql(pool, tenantId)`
        insert into retentions as r (tenant_id, agent_id, keep_days, version)
        values (${tenantId}, ${agentId}, ${keepDays}, ${String(version)})
        on conflict (tenant_id, agent_id) do update
          set keep_days = excluded.keep_days, version = excluded.version
          where r.version <= excluded.version`;
    },

    async expired(now) {
      return everyTenantSql(pool)<Expired[]>`
        select r.tenant_id as "tenantId", r.agent_id as "agentId", t.before
        from retentions r
        cross join lateral (
          select date_trunc('day', ${now}::timestamptz, 'UTC') - r.keep_days * interval '1 day'
        ) as t (before)
        where r.keep_days > 0 and exists (
          select from episodes e
          where e.tenant_id = r.tenant_id and e.agent_id = r.agent_id and e.agent_id <> ''
            and e.occurred_at < t.before)`;
    },
  };
}
