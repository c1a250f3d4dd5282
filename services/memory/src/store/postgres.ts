import { notedOnce } from "@soldier/events/inbox";
import { Fault } from "@soldier/kernel/fault";
import { tenantSql } from "@soldier/storage/tenant";
import type { Fragment, ISql, Sql } from "postgres";
import type { Episode, EpisodeRole, NewEpisode, StageName } from "../domain/episode.ts";
import type {
  AddedEpisode,
  EpisodeStore,
  GroupChange,
  GroupNews,
  StagedEpisode,
} from "./episode-store.ts";
import { stageColumns, type StageRow, stagesOf } from "./stage-columns.ts";
import { vectorOf } from "./vector-bytes.ts";

/** The durable consumer whose inbox says which events were had. */
export const consumerName = "memory";

/** Episodes in PostgreSQL; each new one is entered for the stages given. */
export function postgresEpisodeStore(
  pool: Sql,
  stages: readonly StageName[] = ["embedded"],
): EpisodeStore {
  return {
    add: (tenantId, episodes) => addAll(tenantSql(pool, tenantId), tenantId, episodes, stages),

    async addOnce(event, tenantId, episodes) {
      const sql = tenantSql(pool, tenantId);
      const noted = sql`noted as (${notedOnce(sql, consumerName, event)}),`;
      const stored = await insert(sql, tenantId, episodes, stages, noted);
      const byKey = new Map(stored.map((row) => [row.ingest_key, episodeOf(row)]));
      return episodes.flatMap(({ ingestKey }) => byKey.get(ingestKey) ?? []);
    },

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

    async news(tenantId, model, known) {
      const sql = tenantSql(pool, tenantId);
      const groupIds = known.map(({ groupId }) => groupId);
      const revisions = known.map(({ revision }) => revision);
      // The head, compared first, answers for the many groups in which nothing happened.
      const rows = await sql<(ChangeRow | HeadRow)[]>`
        select changed.*, g.group_id, g.head::float8 as head,
          g.erased_revision > known.revision as anew
        from unnest(${groupIds}::text[], ${revisions}::bigint[]) as known (id, revision)
        join groups g on g.tenant_id = ${tenantId} and g.group_id = known.id
          and g.head > known.revision
        cross join lateral (
          select case when g.erased_revision > known.revision then 0 else known.revision end
        ) since (revision)
        left join lateral (
          select ${columns(sql)}, null::bytea as vector
          from episodes e
          where e.tenant_id = ${tenantId} and e.group_id = known.id and e.revision > since.revision
          union all
          select x.episode_id, x.tenant_id, x.group_id, x.revision::float8, '', '', '', '', '', '',
            '', 'epoch', 'epoch', x.vector
          from embeddings x
          where x.tenant_id = ${tenantId} and x.group_id = known.id and x.model = ${model}
            and x.revision > since.revision
        ) changed on true
        order by g.group_id, changed.revision`;
      return newsOf(rows);
    },
  };
}

export interface EpisodeRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly group_id: string;
  readonly revision: number;
  readonly customer_id: string;
  readonly agent_id: string;
  readonly session_id: string;
  readonly turn_id: string;
  readonly ingest_key: string;
  readonly role: EpisodeRole;
  readonly text: string;
  readonly occurred_at: Date;
  readonly recorded_at: Date;
}

type StagedRow = EpisodeRow & StageRow;

interface ChangeRow extends EpisodeRow {
  readonly head: number;
  readonly anew: boolean;
  readonly vector: Buffer | null;
}

/** A group whose head moved without a change that counts here, e.g. a vector of another model. */
interface HeadRow {
  readonly group_id: string;
  readonly head: number;
  readonly anew: boolean;
  readonly id: null;
}

/** The columns of episodes e in the order of EpisodeRow; numbers as numbers, not as text. */
export function columns(sql: ISql) {
  return sql`e.id, e.tenant_id, e.group_id, e.revision::float8 as revision, e.customer_id,
    e.agent_id, e.session_id, e.turn_id, e.ingest_key, e.role, e.text, e.occurred_at, e.recorded_at`;
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
 * episode that is there already stays unused. With `noted` before it, it does nothing unless that has a row.
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
        "turnId" text, "ingestKey" text, role text, text text, "occurredAt" timestamptz(3)
      )
      ${noted ? sql`where exists (select from noted)` : sql``}
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

export function episodeOf(row: EpisodeRow): Episode {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    groupId: row.group_id,
    revision: row.revision,
    customerId: row.customer_id,
    agentId: row.agent_id,
    sessionId: row.session_id,
    turnId: row.turn_id,
    ingestKey: row.ingest_key,
    role: row.role,
    text: row.text,
    occurredAt: row.occurred_at,
    recordedAt: row.recorded_at,
  };
}

function stagedOf(row: StagedRow): StagedEpisode {
  return { episode: episodeOf(row), stages: stagesOf(row) };
}

function newsOf(rows: readonly (ChangeRow | HeadRow)[]): readonly GroupNews[] {
  const news = new Map<string, { revision: number; anew?: boolean; changes: GroupChange[] }>();
  for (const row of rows) {
    const { head: revision, anew } = row;
    const group = news.get(row.group_id) ?? { revision, ...(anew && { anew }), changes: [] };
    if (row.id !== null) group.changes.push(changeOf(row));
    news.set(row.group_id, group);
  }
  return Array.from(news, ([groupId, group]) => ({ groupId, ...group }));
}

function changeOf(row: ChangeRow): GroupChange {
  const { revision } = row;
  return row.vector
    ? { kind: "vector", revision, episodeId: row.id, vector: vectorOf(row.vector) }
    : { kind: "episode", revision, episode: episodeOf(row) };
}
