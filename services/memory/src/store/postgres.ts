import { Fault } from "@soldier/kernel/fault";
import { tenantSql } from "@soldier/storage/tenant";
import { together } from "@soldier/storage/together";
import type { Fragment, ISql, Sql } from "postgres";
import type { Episode, NewEpisode, StageName } from "../domain/episode.ts";
import { columns, type EpisodeRow, episodeOf } from "./episode-rows.ts";
import type { AddedEpisode, EpisodeStore, StagedEpisode } from "./episode-store.ts";
import { groupNews } from "./group-news.ts";
import { stageColumns, type StageRow, stagesOf } from "./stage-columns.ts";

/** The durable consumer whose inbox says which events were had. */
export const consumerName = "memory";

/** Episodes in PostgreSQL; each new one is entered for the stages given. */
export function postgresEpisodeStore(
  pool: Sql,
  stages: readonly StageName[] = ["embedded"],
): EpisodeStore {
  const deliver = together((tenantId, deliveries: readonly Delivery[]) =>
    addDelivered(tenantSql(pool, tenantId), tenantId, deliveries, stages),
  );
  return {
    add: (tenantId, episodes) => addAll(tenantSql(pool, tenantId), tenantId, episodes, stages),

    addOnce: ({ id }, tenantId, episodes) => deliver(tenantId, { eventId: id, episodes }),

    async get(tenantId, id) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<StagedRow[]>`
        select ${columns(sql)}, ${stageColumns(sql)}
        from episodes e
        where e.tenant_id = ${tenantId} and e.id = ${id}`;
      return row && stagedOf(row);
    },

    async list(tenantId, groupId, limit, before) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<StagedRow[]>`
        select ${columns(sql)}, ${stageColumns(sql)}
        from episodes e
        where e.tenant_id = ${tenantId} and e.group_id = ${groupId}
          and (${before ?? null}::bigint is null or e.revision < ${before ?? null})
        order by e.revision desc
        limit ${limit + 1}`;
      const episodes = rows.slice(0, limit).map(stagedOf);
      const last = episodes.at(-1);
      return { episodes, next: rows.length > limit ? last?.episode.revision : undefined };
    },

    news: (tenantId, model, known) => groupNews(tenantSql(pool, tenantId), tenantId, model, known),
  };
}

type StagedRow = EpisodeRow & StageRow;

/** The episodes of an event. */
interface Delivery {
  readonly eventId: string;
  readonly episodes: readonly NewEpisode[];
}

/** Those of each that are new. */
async function addDelivered(
  sql: ISql,
  tenantId: string,
  deliveries: readonly Delivery[],
  stages: readonly StageName[],
): Promise<readonly (readonly Episode[])[]> {
  // One that is delivered twice is taken once.
  const byEvent = new Map(deliveries.map((delivery) => [delivery.eventId, delivery]));
  const given = [...byEvent.values()].flatMap(({ eventId, episodes }) =>
    episodes.map((episode) => ({ ...episode, eventId })),
  );
  // Sorted: of two that have the same events one waits for the other, and not each for the other. As JSON,
  // since an array of the database would be planned anew by its length.
  const eventIds = [...byEvent.keys()].toSorted();
  const noted = sql`
    noted as (
      insert into inbox (consumer, event_id)
      select ${consumerName}, id::uuid from jsonb_array_elements_text(${sql.json(eventIds)}) as id
      on conflict do nothing returning event_id
    ),`;
  const stored = await insert(sql, tenantId, given, stages, noted);
  const byId = new Map(stored.map((row) => [row.id, episodeOf(row)]));
  return deliveries.map((delivery) =>
    byEvent.get(delivery.eventId) === delivery
      ? delivery.episodes.flatMap(({ id }) => byId.get(id) ?? [])
      : [],
  );
}

async function addAll(
  sql: ISql,
  tenantId: string,
  episodes: readonly NewEpisode[],
  stages: readonly StageName[],
): Promise<readonly AddedEpisode[]> {
  if (episodes.length === 0) return [];
  const stored = await insert(sql, tenantId, episodes, stages, undefined);
  const byKey = new Map(stored.map((row) => [row.ingest_key, episodeOf(row)]));
  const there = episodes.filter(({ ingestKey }) => !byKey.has(ingestKey));
  for (const episode of await byIngestKey(sql, tenantId, there))
    byKey.set(episode.ingestKey, episode);
  return episodes.map(({ id, ingestKey }) => {
    const episode = byKey.get(ingestKey);
    if (!episode)
      throw new Fault("precondition", `what episode ${ingestKey} holds was erased and stays so`, {
        reason: "EPISODE_ERASED",
      });
    return { episode, added: episode.id === id };
  });
}

/**
 * One statement, so that a pool needs no transaction for it: takes the groups' locks in one order,
 * numbers the episodes, stores the new ones and enters them for their stages. A number that goes to an
 * episode that is there already stays unused. With `noted` before it, it takes only episodes of its events.
 */
function insert(
  sql: ISql,
  tenantId: string,
  episodes: readonly NewEpisode[],
  stages: readonly StageName[],
  noted: Fragment | undefined,
) {
  const given = episodes.map((episode, i) => ({ ...episode, place: i }));
  return sql<EpisodeRow[]>`
    with ${noted ?? sql``}
    given as (
      select *, row_number() over (partition by "groupId" order by place) as number
      from jsonb_to_recordset(${sql.json(given)}) as g (
        place int, id uuid, "groupId" text, "customerId" text, "agentId" text, "sessionId" text,
        "turnId" text, "ingestKey" text, role text, text text, "occurredAt" timestamptz(3),
        "eventId" uuid
      )
      ${noted ? sql`where "eventId" in (select event_id from noted)` : sql``}
    ),
    head as (
      insert into groups as g (tenant_id, group_id, head, recorded_at)
      select ${tenantId}, "groupId", count(*), clock_timestamp() from given
      group by "groupId" order by "groupId"
      on conflict (tenant_id, group_id) do update
        set head = g.head + excluded.head,
            recorded_at = greatest(g.recorded_at, clock_timestamp())
      returning group_id, head, recorded_at
    ),
    e as (
      insert into episodes (
        tenant_id, id, group_id, revision, customer_id, agent_id, session_id, turn_id, ingest_key,
        role, text, occurred_at, recorded_at
      )
      select ${tenantId}, g.id, g."groupId",
        h.head - (select count(*) from given o where o."groupId" = g."groupId") + g.number,
        g."customerId", g."agentId", g."sessionId", g."turnId", g."ingestKey", g.role, g.text,
        g."occurredAt", h.recorded_at
      from given g join head h on h.group_id = g."groupId"
      order by g.place
      on conflict (tenant_id, ingest_key) do nothing
      returning *
    ),
    entered as (
      insert into backlog (tenant_id, episode_id, stage, group_id)
      select tenant_id, id, stage, group_id from e cross join unnest(${[...stages]}::text[]) as stage
    )
    select ${columns(sql)} from e`;
}

async function byIngestKey(sql: ISql, tenantId: string, episodes: readonly NewEpisode[]) {
  if (episodes.length === 0) return [];
  const keys = episodes.map(({ ingestKey }) => ingestKey);
  const rows = await sql<EpisodeRow[]>`
    select ${columns(sql)} from episodes e
    where e.tenant_id = ${tenantId} and e.ingest_key = any(${keys})`;
  return rows.map(episodeOf);
}

function stagedOf(row: StagedRow): StagedEpisode {
  return { episode: episodeOf(row), stages: stagesOf(row) };
}
