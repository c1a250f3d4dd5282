import { everyTenantSql } from "@soldier/storage/tenant";
import type { ISql, Sql } from "postgres";
import type { EmbeddingBacklog, EmbeddingOutcome, Unembedded } from "./embedding-backlog.ts";
import { columns, type EpisodeRow, episodeOf } from "./postgres.ts";
import { vectorBytes } from "./vector-bytes.ts";

export function postgresEmbeddingBacklog(pool: Sql): EmbeddingBacklog {
  const sql = everyTenantSql(pool);
  return {
    async embedNext(model, limit, work) {
      return sql.begin(async (tx) => {
        const due = await take(tx, limit);
        if (due.length === 0) return due;
        const outcomes = await work(due);
        await keepVectors(tx, model, due, outcomes);
        await keepFailures(tx, due, outcomes);
        return due;
      });
    },

    async count() {
      const [row] = await sql<{ waiting: number; failed: number }[]>`
        select count(*)::int as waiting, count(*) filter (where failed <> '')::int as failed
        from backlog where stage = 'embedded'`;
      return row ?? { waiting: 0, failed: 0 };
    },
  };
}

/** Skips what another worker holds; the row lock lasts as long as the transaction. */
async function take(tx: ISql, limit: number): Promise<readonly Unembedded[]> {
  const rows = await tx<(EpisodeRow & { attempts: number })[]>`
    select ${columns(tx)}, b.attempts
    from backlog b
    join episodes e on e.tenant_id = b.tenant_id and e.id = b.episode_id
    where b.stage = 'embedded' and b.due_at <= now()
    order by b.due_at
    limit ${limit}
    for update of b skip locked`;
  return rows.map((row) => ({ episode: episodeOf(row), attempts: row.attempts }));
}

/**
 * Numbers the vectors from their groups' heads, whose locks are taken in one order. The driver knows
 * no arrays of bytes: they travel as text.
 */
async function keepVectors(
  tx: ISql,
  model: string,
  due: readonly Unembedded[],
  outcomes: readonly EmbeddingOutcome[],
): Promise<void> {
  const rows = due.flatMap(({ episode, attempts }, i) => {
    const outcome = outcomes[i];
    if (outcome?.kind !== "embedded") return [];
    return [{ episode, attempts: attempts + 1, vector: outcome.vector }];
  });
  if (rows.length === 0) return;
  await tx`
    with given as (
      select *, row_number() over (partition by tenant_id, group_id order by episode_id) as number
      from unnest(
        ${rows.map(({ episode }) => episode.tenantId)}::text[],
        ${rows.map(({ episode }) => episode.groupId)}::text[],
        ${rows.map(({ episode }) => episode.id)}::uuid[],
        ${rows.map(({ vector }) => vector.length)}::int[],
        ${rows.map(({ vector }) => vectorBytes(vector).toString("hex"))}::text[],
        ${rows.map(({ attempts }) => attempts)}::int[]
      ) as g (tenant_id, group_id, episode_id, dimensions, vector, attempts)
    ),
    counted as (
      select tenant_id, group_id, count(*) as count from given group by tenant_id, group_id
    ),
    locked as (
      select g.tenant_id, g.group_id, c.count
      from groups g join counted c using (tenant_id, group_id)
      order by g.tenant_id, g.group_id
      for update of g
    ),
    head as (
      update groups g set head = g.head + l.count
      from locked l where g.tenant_id = l.tenant_id and g.group_id = l.group_id
      returning g.tenant_id, g.group_id, g.head, l.count
    ),
    done as (
      delete from backlog b using given g
      where b.tenant_id = g.tenant_id and b.episode_id = g.episode_id and b.stage = 'embedded'
    )
    insert into embeddings (
      tenant_id, episode_id, model, group_id, revision, dimensions, vector, attempts
    )
    select g.tenant_id, g.episode_id, ${model}, g.group_id, h.head - h.count + g.number,
      g.dimensions, decode(g.vector, 'hex'), g.attempts
    from given g join head h using (tenant_id, group_id)
    on conflict (tenant_id, episode_id, model) do nothing`;
}

async function keepFailures(
  tx: ISql,
  due: readonly Unembedded[],
  outcomes: readonly EmbeddingOutcome[],
): Promise<void> {
  const rows = due.flatMap(({ episode }, i) => {
    const outcome = outcomes[i];
    return outcome?.kind === "failed" ? [{ episode, ...outcome }] : [];
  });
  if (rows.length === 0) return;
  await tx`
    update backlog b
    set attempts = b.attempts + 1, failed = f.reason,
        due_at = clock_timestamp() + f.delay_ms * interval '1 millisecond'
    from unnest(
      ${rows.map(({ episode }) => episode.tenantId)}::text[],
      ${rows.map(({ episode }) => episode.id)}::uuid[],
      ${rows.map(({ reason }) => reason)}::text[],
      ${rows.map(({ retryAfterMs }) => retryAfterMs)}::float8[]
    ) as f (tenant_id, episode_id, reason, delay_ms)
    where b.tenant_id = f.tenant_id and b.episode_id = f.episode_id and b.stage = 'embedded'`;
}
