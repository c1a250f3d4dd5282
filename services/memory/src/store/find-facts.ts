import { tenantSql } from "@soldier/storage/tenant";
import type { Sql } from "postgres";
import { factColumns, factOf, type FactRow } from "./fact-rows.ts";
import type { StoredFact } from "./fact-store.ts";

/** Groups at a point of both axes. */
export interface FactsPoint {
  readonly groupIds: readonly string[];
  readonly validAt: Date;
  /** Undefined is the latest. */
  readonly recordedAt: Date | undefined;
}

export interface NamedIn {
  readonly groupId: string;
  readonly entityId: string;
}

/** What facts are found by, of every tenant. A tenant never sees another's. */
export interface FactFinds {
  /** Facts that hold at the point, the last confirmed first. */
  latest(tenantId: string, point: FactsPoint, limit: number): Promise<readonly StoredFact[]>;
  /** Entities that have one of these names, as names are compared. */
  named(
    tenantId: string,
    groupIds: readonly string[],
    names: readonly string[],
    limit: number,
  ): Promise<readonly NamedIn[]>;
  /** Names of entities, by id; those that have none are left out. */
  names(tenantId: string, ids: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Of each claim the episode in which it was said; those of operators are left out. */
  episodes(tenantId: string, claimIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

export function postgresFactFinds(pool: Sql): FactFinds {
  return {
    async latest(tenantId, { groupIds, validAt, recordedAt }, limit) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<FactRow[]>`
        select ${factColumns(sql)} from fact_versions v
        where v.tenant_id = ${tenantId} and v.group_id = any(${[...groupIds]}) and not v.disputed
          and v.valid @> ${validAt}::timestamptz
          ${recordedAt ? sql`and v.tx @> ${recordedAt}::timestamptz` : sql`and upper_inf(v.tx)`}
        order by v.confirmed_at desc, v.number
        limit ${limit}`;
      return rows.map(factOf);
    },

    async named(tenantId, groupIds, names, limit) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<{ group_id: string; id: string }[]>`
        select group_id, id from entities
        where tenant_id = ${tenantId} and group_id = any(${[...groupIds]})
          and names && ${[...names]}::text[]
        order by id limit ${limit}`;
      return rows.map(({ group_id, id }) => ({ groupId: group_id, entityId: id }));
    },

    async names(tenantId, ids) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<{ id: string; name: string }[]>`
        select id, name from entities where tenant_id = ${tenantId} and id = any(${[...ids]})`;
      return new Map(rows.map(({ id, name }) => [id, name]));
    },

    async episodes(tenantId, claimIds) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<{ id: string; episode_id: string }[]>`
        select id, episode_id from claims
        where tenant_id = ${tenantId} and id = any(${[...claimIds]}) and episode_id is not null`;
      return new Map(rows.map(({ id, episode_id }) => [id, episode_id]));
    },
  };
}
