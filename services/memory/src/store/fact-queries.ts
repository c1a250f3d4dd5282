import { Fault } from "@soldier/kernel/fault";
import type { ISql, Sql } from "postgres";
import { canonicaliser, foldedName } from "../domain/canonical.ts";
import type { NewEntity, StoredEntity } from "../domain/entity.ts";
import { filtered } from "./fact-filters.ts";
import { factColumns, factOf, type FactRow, readMerges } from "./fact-rows.ts";
import type { FactPage, FactQuery, FactStore } from "./fact-store.ts";

/** See FactStore.facts. Time is asked for in the statement, so that a page is full of what is wanted. */
export async function queryFacts(sql: Sql, tenantId: string, query: FactQuery): Promise<FactPage> {
  const { groupIds, predicates, recordedAt, valid, limit, after } = query;
  const named = query.subject !== undefined || query.object !== undefined;
  const merges = named ? await readMerges(sql, tenantId, groupIds) : [];
  const canonical = canonicaliser(merges, recordedAt?.getTime() ?? Number.MAX_SAFE_INTEGER);
  const subject = query.subject && canonical(query.subject);
  const object = query.object && `e:${canonical(query.object)}`;
  const rows = await sql<FactRow[]>`
    select ${factColumns(sql)} from fact_versions v
    where v.tenant_id = ${tenantId} and v.group_id = any(${[...groupIds]})
      ${recordedAt ? sql`and v.tx @> ${recordedAt}::timestamptz` : sql`and upper_inf(v.tx)`}
      ${valid ? sql`and not v.disputed` : sql``}
      ${valid?.kind === "at" ? sql`and v.valid @> ${valid.at}::timestamptz` : sql``}
      ${
        valid?.kind === "overlap"
          ? sql`and v.valid && tstzrange(${valid.from}::timestamptz, ${valid.to}::timestamptz)`
          : sql``
      }
      ${subject ? sql`and v.subject = ${subject}` : sql``}
      ${object ? sql`and v.value_key = ${object}` : sql``}
      ${filtered(sql, query.filters)}
      ${predicates.length > 0 ? sql`and v.predicate = any(${[...predicates]})` : sql``}
      ${
        after
          ? sql`and (lower(v.valid), v.number) > (${new Date(after.from)}::timestamptz, ${after.number})`
          : sql``
      }
    order by lower(v.valid), v.number
    limit ${limit + 1}`;
  const facts = rows.slice(0, limit).map(factOf);
  const last = facts.at(-1);
  const more = rows.length > limit && last;
  return { facts, next: more ? { from: last.from, number: last.number } : undefined };
}

interface EntityRow {
  readonly id: string;
  readonly group_id: string;
  readonly type: string;
  readonly name: string;
  readonly aliases: readonly string[];
  readonly recorded_at: Date;
}

/** The methods of the store that are about entities' names. */
export function entityNames(
  sql: Sql,
): Pick<FactStore, "addEntities" | "entitiesById" | "listEntities"> {
  return {
    async addEntities(tenantId, entities) {
      const rows = entities.map((entity, place) => ({
        ...entity,
        place,
        names: [entity.name, ...entity.aliases].map(foldedName),
      }));
      return sql.begin(async (tx) => {
        const taken = await tx<{ id: string }[]>`
          select e.id from entities e
          join unnest(${rows.map(({ id }) => id)}::text[], ${rows.map(({ groupId }) => groupId)}::text[])
            as g (id, group_id) on g.id = e.id and g.group_id <> e.group_id
          where e.tenant_id = ${tenantId}`;
        if (taken.length > 0) return taken.map(({ id }) => id);
        await checkMentions(tx, tenantId, entities);
        await tx`
          insert into entities as e (
            tenant_id, id, group_id, type, name, aliases, names, recorded_at
          )
          select distinct on (id) ${tenantId}, id, "groupId", type, name, aliases, names,
            clock_timestamp()
          from jsonb_to_recordset(${tx.json(rows)}) as g (
            id text, "groupId" text, type text, name text, aliases text[], names text[], place int
          )
          order by id, place desc
          on conflict (tenant_id, id) do update
            set type = excluded.type, name = excluded.name, aliases = excluded.aliases,
                names = excluded.names
            where e.group_id = excluded.group_id`;
        const mentions = mentionsOf(entities);
        if (mentions.length > 0)
          await tx`
            insert into entity_mentions (tenant_id, entity_id, episode_id)
            select ${tenantId}, entity_id, episode_id from unnest(
              ${mentions.map(({ id }) => id)}::text[],
              ${mentions.map(({ episodeId }) => episodeId)}::uuid[]
            ) as m (entity_id, episode_id)
            on conflict do nothing`;
        return [];
      });
    },

    async entitiesById(tenantId, ids) {
      const rows = await sql<EntityRow[]>`
        select * from entities where tenant_id = ${tenantId} and id = any(${[...ids]})`;
      const found = new Map(
        (await storedOf(sql, tenantId, rows)).map((entity) => [entity.id, entity]),
      );
      return ids.flatMap((id) => found.get(id) ?? []);
    },

    async listEntities(tenantId, groupId, name, limit, after) {
      const rows = await sql<EntityRow[]>`
        select * from entities
        where tenant_id = ${tenantId} and group_id = ${groupId}
          ${name === undefined ? sql`` : sql`and ${foldedName(name)} = any(names)`}
          ${after === undefined ? sql`` : sql`and id > ${after}`}
        order by id limit ${limit + 1}`;
      const items = await storedOf(sql, tenantId, rows.slice(0, limit));
      return { items, next: rows.length > limit ? items.at(-1)?.id : undefined };
    },
  };
}

function mentionsOf(entities: readonly NewEntity[]) {
  return entities.flatMap(({ id, groupId, mentionedIn = [] }) =>
    mentionedIn.map((episodeId) => ({ id, groupId, episodeId })),
  );
}

async function checkMentions(
  tx: ISql,
  tenantId: string,
  entities: readonly NewEntity[],
): Promise<void> {
  const mentions = mentionsOf(entities);
  if (mentions.length === 0) return;
  const rows = await tx<{ id: string; group_id: string }[]>`
    select id, group_id from episodes
    where tenant_id = ${tenantId} and id = any(${mentions.map(({ episodeId }) => episodeId)}::uuid[])`;
  const groupOf = new Map(rows.map(({ id, group_id }) => [id, group_id]));
  const fields = entities.flatMap(({ groupId, mentionedIn = [] }, i) =>
    mentionedIn.some((episodeId) => groupOf.get(episodeId) !== groupId)
      ? [{ field: `entities[${i}].mentioned_in`, description: "must be episodes of its group" }]
      : [],
  );
  if (fields.length > 0)
    throw new Fault("invalid", "the entities cannot be stored", {
      reason: "ENTITY_INVALID",
      fields,
    });
}

async function storedOf(
  sql: Sql,
  tenantId: string,
  rows: readonly EntityRow[],
): Promise<readonly StoredEntity[]> {
  const groupIds = [...new Set(rows.map((row) => row.group_id))];
  const merges = await readMerges(sql, tenantId, groupIds);
  const canonical = canonicaliser(merges, Number.MAX_SAFE_INTEGER);
  return rows.map((row) => ({
    id: row.id,
    groupId: row.group_id,
    type: row.type,
    name: row.name,
    aliases: row.aliases,
    canonicalId: canonical(row.id),
    recordedAt: row.recorded_at,
  }));
}
