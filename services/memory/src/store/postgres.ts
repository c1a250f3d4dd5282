import { notedOnce } from "@soldier/events/inbox";
import { tenantSql } from "@soldier/storage/tenant";
import type { Fragment, ISql, Sql } from "postgres";
import type { Episode, EpisodeRole, NewEpisode, Stage } from "../domain/episode.ts";
import type {
  AddedEpisode,
  EpisodeStore,
  GroupChange,
  GroupNews,
  StagedEpisode,
} from "./episode-store.ts";
import { vectorOf } from "./vector-bytes.ts";

/** The durable consumer whose inbox says which events were had. */
export const consumerName = "memory";

export function postgresEpisodeStore(pool: Sql): EpisodeStore {
  return {
    add: (tenantId, episodes) => addAll(tenantSql(pool, tenantId), tenantId, episodes),

    async addOnce(event, tenantId, episodes) {
      const sql = tenantSql(pool, tenantId);
      const noted = sql`noted as (${notedOnce(sql, consumerName, event)}),`;
      const stored = await insert(sql, tenantId, episodes, noted);
      const byKey = new Map(stored.map((row) => [row.ingest_key, episodeOf(row)]));
      return episodes.flatMap(({ ingestKey }) => byKey.get(ingestKey) ?? []);
    },

    async get(tenantId, id) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<StagedRow[]>`
        select ${columns(sql)}, ${stageColumns(sql)}
        from episodes e ${stageJoins(sql)}
        where e.tenant_id = ${tenantId} and e.id = ${id}`;
      return row && stagedOf(row);
    },

    async list(tenantId, groupId, limit, before) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<StagedRow[]>`
        select ${columns(sql)}, ${stageColumns(sql)}
        from episodes e ${stageJoins(sql)}
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
        select changed.*, g.group_id, g.head::float8 as head
        from unnest(${groupIds}::text[], ${revisions}::bigint[]) as known (id, revision)
        join groups g on g.tenant_id = ${tenantId} and g.group_id = known.id
          and g.head > known.revision
        left join lateral (
          select ${columns(sql)}, null::bytea as vector
          from episodes e
          where e.tenant_id = ${tenantId} and e.group_id = known.id and e.revision > known.revision
          union all
          select x.episode_id, x.tenant_id, x.group_id, x.revision::float8, '', '', '', '', '', '',
            '', 'epoch', 'epoch', x.vector
          from embeddings x
          where x.tenant_id = ${tenantId} and x.group_id = known.id and x.model = ${model}
            and x.revision > known.revision
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

interface StagedRow extends EpisodeRow {
  /** Of the backlog; null when the stage is done. */
  readonly pending_attempts: number | null;
  readonly pending_failed: string | null;
  readonly done_attempts: number | null;
}

interface ChangeRow extends EpisodeRow {
  readonly head: number;
  readonly vector: Buffer | null;
}

/** A group whose head moved without a change that counts here, e.g. a vector of another model. */
interface HeadRow {
  readonly group_id: string;
  readonly head: number;
  readonly id: null;
}

/** The columns of episodes e in the order of EpisodeRow; numbers as numbers, not as text. */
export function columns(sql: ISql) {
  return sql`e.id, e.tenant_id, e.group_id, e.revision::float8 as revision, e.customer_id,
    e.agent_id, e.session_id, e.turn_id, e.ingest_key, e.role, e.text, e.occurred_at, e.recorded_at`;
}

function stageColumns(sql: ISql) {
  return sql`b.attempts as pending_attempts, b.failed as pending_failed,
    x.attempts as done_attempts`;
}

function stageJoins(sql: ISql) {
  return sql`
    left join backlog b
      on b.tenant_id = e.tenant_id and b.episode_id = e.id and b.stage = 'embedded'
    left join lateral (
      select max(attempts) as attempts from embeddings
      where tenant_id = e.tenant_id and episode_id = e.id
    ) x on true`;
}

async function addAll(
  sql: ISql,
  tenantId: string,
  episodes: readonly NewEpisode[],
): Promise<readonly AddedEpisode[]> {
  if (episodes.length === 0) return [];
  const stored = await insert(sql, tenantId, episodes, undefined);
  const byKey = new Map(stored.map((row) => [row.ingest_key, episodeOf(row)]));
  const there = episodes.filter(({ ingestKey }) => !byKey.has(ingestKey));
  for (const episode of await byIngestKey(sql, tenantId, there))
    byKey.set(episode.ingestKey, episode);
  return episodes.map(({ id, ingestKey }) => {
    const episode = byKey.get(ingestKey);
    if (!episode) throw new Error(`episode ${ingestKey} was neither stored nor there`);
    return { episode, added: episode.id === id };
  });
}

/**
 * One statement, so that a pool needs no transaction for it: takes the groups' locks in one order,
 * numbers the episodes, stores the new ones and enters them for embedding. A number that goes to an
 * episode that is there already stays unused. With `noted` before it, it does nothing unless that has a row.
 */
function insert(
  sql: ISql,
  tenantId: string,
  episodes: readonly NewEpisode[],
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
      insert into backlog (tenant_id, episode_id, stage)
      select tenant_id, id, 'embedded' from e
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
  return { episode: episodeOf(row), stages: [storedStage, embeddedStage(row)] };
}

const storedStage: Stage = { name: "stored", status: "done", attempts: 1, failed: "" };

function embeddedStage(row: StagedRow): Stage {
  const name = "embedded";
  if (row.pending_attempts === null)
    return { name, status: "done", attempts: row.done_attempts ?? 0, failed: "" };
  const failed = row.pending_failed ?? "";
  return { name, status: failed ? "failed" : "pending", attempts: row.pending_attempts, failed };
}

function newsOf(rows: readonly (ChangeRow | HeadRow)[]): readonly GroupNews[] {
  const news = new Map<string, { revision: number; changes: GroupChange[] }>();
  for (const row of rows) {
    const group = news.get(row.group_id) ?? { revision: row.head, changes: [] };
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
