import { everyTenantSql } from "@soldier/storage/tenant";
import type { ISql, Sql } from "postgres";
import type { StageName } from "../domain/episode.ts";
import { columns, type EpisodeRow, episodeOf } from "./episode-rows.ts";
import type { DueEpisode, StageBacklog, StageCounts, StageOutcome } from "./stage-backlog.ts";

/** An episode that has passed a stage, with what came of it. */
export interface Passed<T> extends DueEpisode {
  readonly value: T;
}

/**
 * Keeps results and takes the rows of their episodes out of the backlog, in one: a result whose row
 * is not there any more is dropped. May leave some in the backlog by answering how they failed.
 */
export type KeepResults<T> = (
  sql: Sql,
  passed: readonly Passed<T>[],
) => Promise<readonly LeftBehind[]>;

/** A result that could not be kept. */
export interface LeftBehind extends DueEpisode {
  readonly reason: string;
  readonly retryAfterMs: number;
}

/** The episodes that wait for a stage, in PostgreSQL. */
export function postgresStage<T>(
  pool: Sql,
  stage: StageName,
  keep: KeepResults<T>,
): StageBacklog<T> {
  const sql = everyTenantSql(pool);
  return {
    async next(limit, holdMs, work) {
      const due = await take(sql, stage, limit, holdMs);
      if (due.length === 0) return due;
      try {
        const outcomes = await work(due);
        const done = due.flatMap((one, i) => passed(one, outcomes[i]));
        const left = done.length > 0 ? await keep(sql, done) : [];
        await putBack(sql, stage, [
          ...left,
          ...due.flatMap((one, i) => notPassed(one, outcomes[i])),
        ]);
        return due;
      } catch (error) {
        await giveBack(sql, stage, due);
        throw error;
      }
    },

    async count() {
      const [row] = await sql<StageCounts[]>`
        select count(*) filter (where not parked)::int as waiting,
          count(*) filter (where not parked and failed <> '')::int as failed,
          count(*) filter (where parked)::int as parked,
          ${lateMs(sql)} as "lateMs"
        from backlog where stage = ${stage}`;
      return row ?? { waiting: 0, failed: 0, parked: 0, lateMs: 0 };
    },
  };
}

/** Of rows of the backlog: how long the one that waits longest has been due. */
export function lateMs(sql: ISql) {
  return sql`greatest(0, extract(epoch from now() - min(due_at) filter (where not again and not parked)) * 1000)::float8`;
}

function passed<T>(one: DueEpisode, outcome: StageOutcome<T> | undefined): readonly Passed<T>[] {
  return outcome?.kind === "done" ? [{ ...one, value: outcome.value }] : [];
}

interface PutBack extends DueEpisode {
  readonly reason: string | undefined;
  readonly retryAfterMs: number;
}

function notPassed<T>(one: DueEpisode, outcome: StageOutcome<T> | undefined): readonly PutBack[] {
  if (outcome?.kind === "failed") return [{ ...one, ...outcome }];
  if (outcome?.kind === "waits")
    return [{ ...one, reason: undefined, retryAfterMs: outcome.forMs }];
  return [];
}

/** One statement: skips what another worker is taking, and moves the rest out of others' sight. */
async function take(
  sql: ISql,
  stage: StageName,
  limit: number,
  holdMs: number,
): Promise<readonly DueEpisode[]> {
  const rows = await sql<(EpisodeRow & { attempts: number; again: boolean; late_ms: number })[]>`
    with fresh as materialized (
      select tenant_id, episode_id, due_at, again from backlog
      where stage = ${stage} and due_at <= now() and not parked and not again
      order by due_at
      limit ${limit}
      for update skip locked
    ),
    rest as materialized (
      select tenant_id, episode_id, due_at, again from backlog
      where stage = ${stage} and due_at <= now() and not parked and again
      order by due_at
      limit (select ${limit} - count(*) from fresh)
      for update skip locked
    ),
    due as (select * from fresh union all select * from rest),
    held as (
      update backlog b set due_at = clock_timestamp() + ${holdMs} * interval '1 millisecond'
      from due d
      where b.tenant_id = d.tenant_id and b.episode_id = d.episode_id and b.stage = ${stage}
      returning b.tenant_id, b.episode_id, b.attempts, d.again, d.due_at as was_due
    )
    select ${columns(sql)}, h.attempts, h.again,
      case when h.again then 0 else extract(epoch from clock_timestamp() - h.was_due) * 1000 end::float8
        as late_ms
    from held h
    join episodes e on e.tenant_id = h.tenant_id and e.id = h.episode_id
    order by h.again, h.was_due, e.id`;
  return rows.map((row) => ({
    episode: episodeOf(row),
    attempts: row.attempts,
    isAgain: row.again,
    lateMs: Math.max(0, row.late_ms),
  }));
}

/** As if they had not been taken. */
async function giveBack(sql: ISql, stage: StageName, due: readonly DueEpisode[]): Promise<void> {
  await sql`
    update backlog b set due_at = clock_timestamp()
    from unnest(
      ${due.map(({ episode }) => episode.tenantId)}::text[],
      ${due.map(({ episode }) => episode.id)}::uuid[]
    ) as g (tenant_id, episode_id)
    where b.tenant_id = g.tenant_id and b.episode_id = g.episode_id and b.stage = ${stage}`;
}

async function putBack(sql: ISql, stage: StageName, rows: readonly PutBack[]): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    update backlog b
    set attempts = b.attempts + case when f.reason is null then 0 else 1 end,
        failed = coalesce(f.reason, b.failed),
        due_at = clock_timestamp() + f.delay_ms * interval '1 millisecond'
    from unnest(
      ${rows.map(({ episode }) => episode.tenantId)}::text[],
      ${rows.map(({ episode }) => episode.id)}::uuid[],
      ${rows.map(({ reason }) => reason ?? null)}::text[],
      ${rows.map(({ retryAfterMs }) => retryAfterMs)}::float8[]
    ) as f (tenant_id, episode_id, reason, delay_ms)
    where b.tenant_id = f.tenant_id and b.episode_id = f.episode_id and b.stage = ${stage}`;
}
