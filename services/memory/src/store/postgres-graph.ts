import { tenantSql } from "@soldier/storage/tenant";
import type { Sql } from "postgres";
import { canonicaliser } from "../domain/canonical.ts";
import { type Walk, walkFrom, type WalkLimits } from "../domain/graph-walk.ts";
import { factColumns, factOf, type FactRow, readMerges } from "./fact-rows.ts";
import type { StoredFact } from "./fact-store.ts";
import type { GraphPoint, GraphStore, RankedEntity } from "./graph-store.ts";

/** How far a way is looked for, and over how many facts, before it counts as none. */
const wayLimits = { depthMax: 20, edgesMax: 20_000 };

export function postgresGraph(pool: Sql): GraphStore {
  return {
    async groupOf(tenantId, entityId) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<{ group_id: string }[]>`
        select group_id from entities where tenant_id = ${tenantId} and id = ${entityId}`;
      return row?.group_id;
    },

    async walk(tenantId, point, entityId, limits) {
      const sql = tenantSql(pool, tenantId);
      const { canonical } = await namesIn(sql, tenantId, point);
      const { edges } = await walk(sql, tenantId, point, canonical(entityId), limits);
      return edges;
    },

    async rank(tenantId, point, entityIds, near) {
      const sql = tenantSql(pool, tenantId);
      const { canonical, together } = await namesIn(sql, tenantId, point);
      const ids = [...new Set(entityIds)];
      const distances =
        near === undefined
          ? undefined
          : await walk(sql, tenantId, point, canonical(near), {
              ...wayLimits,
              wanted: new Set(ids.map(canonical)),
            });
      const names = ids.flatMap((id) =>
        together(canonical(id)).map((name) => ({ name, asked: id })),
      );
      const mentions = await mentionsOf(sql, tenantId, point, names);
      return ids
        .map((entityId): RankedEntity => {
          const distance = distances?.distances.get(canonical(entityId));
          return { entityId, distance, mentions: mentions.get(entityId) ?? 0 };
        })
        .toSorted(
          (a, b) =>
            (a.distance ?? Infinity) - (b.distance ?? Infinity) || // NaN of two infinities is falsy
            b.mentions - a.mentions ||
            (a.entityId < b.entityId ? -1 : 1),
        );
    },
  };
}

/** Who stood for whom at the point, and every name of whoever stood for himself. */
async function namesIn(sql: Sql, tenantId: string, { groupId, recordedAt }: GraphPoint) {
  const merges = await readMerges(sql, tenantId, [groupId]);
  const canonical = canonicaliser(merges, recordedAt?.getTime() ?? Number.MAX_SAFE_INTEGER);
  const merged = new Set(merges.flatMap(({ from, to }) => [from, to]));
  const together = (id: string) => [
    id,
    ...[...merged].filter((name) => name !== id && canonical(name) === id),
  ];
  return { canonical, together };
}

function walk(
  sql: Sql,
  tenantId: string,
  { groupId, validAt, recordedAt }: GraphPoint,
  start: string,
  limits: WalkLimits,
): Promise<Walk<StoredFact>> {
  const keys = (ids: readonly string[]) => ids.map((id) => `e:${id}`);
  const around = async (
    frontier: readonly string[],
    behind: readonly string[],
    limit: number,
  ): Promise<readonly StoredFact[]> => {
    const rows = await sql<FactRow[]>`
      select ${factColumns(sql)} from fact_versions v
      where v.tenant_id = ${tenantId} and v.group_id = ${groupId}
        and (v.subject = any(${[...frontier]}) or v.value_key = any(${keys(frontier)}))
        and v.value->>'kind' = 'entity' and not v.disputed
        and v.valid @> ${validAt}::timestamptz
        ${recordedAt ? sql`and v.tx @> ${recordedAt}::timestamptz` : sql`and upper_inf(v.tx)`}
        and v.subject <> all(${[...behind]}) and v.value_key <> all(${keys(behind)})
      order by v.confirmed_at desc, v.number
      limit ${limit}`;
    return rows.map(factOf);
  };
  return walkFrom(start, around, limits);
}

async function mentionsOf(
  sql: Sql,
  tenantId: string,
  { groupId, validAt, recordedAt }: GraphPoint,
  names: readonly { readonly name: string; readonly asked: string }[],
): Promise<ReadonlyMap<string, number>> {
  const rows = await sql<{ asked: string; mentions: number }[]>`
    with named as (
      select * from unnest(
        ${names.map(({ name }) => name)}::text[], ${names.map(({ asked }) => asked)}::text[]
      ) as n (name, asked)
    ),
    spoken as (
      select n.asked, m.episode_id from named n
      join entity_mentions m on m.tenant_id = ${tenantId} and m.entity_id = n.name
      union
      select n.asked, c.episode_id from claims c join named n on c.subject = n.name
      where c.tenant_id = ${tenantId} and c.group_id = ${groupId}
      union
      select n.asked, c.episode_id from claims c join named n on c.value->>'id' = n.name
      where c.tenant_id = ${tenantId} and c.group_id = ${groupId} and c.value->>'kind' = 'entity'
    )
    select s.asked, count(*)::int as mentions
    from spoken s
    join episodes e on e.tenant_id = ${tenantId} and e.id = s.episode_id and e.group_id = ${groupId}
    where e.occurred_at <= ${validAt}
      ${recordedAt ? sql`and e.recorded_at <= ${recordedAt}` : sql``}
    group by s.asked`;
  return new Map(rows.map(({ asked, mentions }) => [asked, mentions]));
}
