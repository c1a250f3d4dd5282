import { everyTenantSql, tenantSql } from "@soldier/storage/tenant";
import type { ISql, Sql } from "postgres";
import { searchableText } from "../domain/episode.ts";
import { type NewSummary, windowSummaries, windowTurns } from "../domain/summary.ts";
import { completed, sameSummary } from "./bring-summary.ts";
import { columns, type EpisodeRow, episodeOf } from "./episode-rows.ts";
import { lateMs, postgresStage } from "./postgres-stages.ts";
import type { StageBacklog, StageCounts } from "./stage-backlog.ts";
import type { SummaryStore, SummaryVector } from "./summary-store.ts";
import { inputsColumn, summaryOf, type SummaryRow } from "./summary-rows.ts";
import { vectorBytes } from "./vector-bytes.ts";

/** Leaves a transaction so that nothing of it stays. */
class NotKept extends Error {}

/** Far more than the turns of a window have; of a long import not all is read for each of its windows. */
const windowEpisodesMax = 1_000;

export function postgresSummaryStore(pool: Sql): SummaryStore {
  return {
    async due(groups) {
      const sql = everyTenantSql(pool);
      const rows = await sql<{ tenant_id: string; group_id: string }[]>`
        select g.tenant_id, g.group_id
        from unnest(
          ${groups.map(({ tenantId }) => tenantId)}::text[],
          ${groups.map(({ groupId }) => groupId)}::text[]
        ) as g (tenant_id, group_id)
        where exists (
          select from backlog b join episodes e on e.tenant_id = b.tenant_id and e.id = b.episode_id
          where b.tenant_id = g.tenant_id and b.stage = 'summarised' and b.group_id = g.group_id
          having count(distinct ${turnOf(sql)}) >= ${windowTurns}
            or bool_or(b.withdrawn_window is not null)
        ) or exists (
          select from summaries s
          where s.tenant_id = g.tenant_id and s.group_id = g.group_id and ${isFree(sql)}
          having count(*) >= ${windowSummaries}
        )`;
      return rows.map(({ tenant_id, group_id }) => ({ tenantId: tenant_id, groupId: group_id }));
    },

    async window(tenantId, groupId) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<(EpisodeRow & { turn: string; withdrawn: string | null })[]>`
        select ${columns(sql)}, ${turnOf(sql)} as turn,
          b.withdrawn_window as withdrawn
        from backlog b join episodes e on e.tenant_id = b.tenant_id and e.id = b.episode_id
        where b.tenant_id = ${tenantId} and b.stage = 'summarised' and b.group_id = ${groupId}
        order by b.withdrawn_window, e.occurred_at, e.revision
        limit ${windowEpisodesMax}`;
      const again = rows.find(({ withdrawn }) => withdrawn !== null)?.withdrawn;
      const turns = [...new Set(rows.map(({ turn }) => turn))];
      if (again === undefined && turns.length < windowTurns) return undefined;
      const oldest = new Set(turns.slice(0, windowTurns));
      const of = again
        ? rows.filter(({ withdrawn }) => withdrawn === again)
        : rows.filter(({ turn }) => oldest.has(turn));
      const counted = new Set<string>();
      return of.map((row) => {
        const episode = episodeOf(row);
        const isNew = !counted.has(row.turn);
        counted.add(row.turn);
        const { id, occurredAt } = episode;
        const text = searchableText(episode);
        return { id, text, from: occurredAt, to: occurredAt, turns: isNew ? 1 : 0 };
      });
    },

    async summariesDue(tenantId, groupId) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<SummaryRow[]>`
        select s.*, '{}'::uuid[] as input_ids from summaries s
        where s.tenant_id = ${tenantId} and s.group_id = ${groupId} and ${isFree(sql)}
        order by s.covers_from, s.id
        limit ${windowSummaries}`;
      if (rows.length < windowSummaries) return undefined;
      return rows.map(summaryOf).map(({ id, text, coversFrom, coversTo, turns }) => {
        return { id, text, from: coversFrom, to: coversTo, turns };
      });
    },

    async keep(summary, vector) {
      const { tenantId, groupId, level, inputIds } = summary;
      try {
        await tenantSql(pool, tenantId).begin(async (tx) => {
          // The group's lock, as everything takes it that makes or erases what a summary rests on.
          const [group] = await tx<{ head: string }[]>`
            update groups set head = head + 1
            where tenant_id = ${tenantId} and group_id = ${groupId} returning head`;
          if (!group || !(await takeInputs(tx, tenantId, level, inputIds))) throw new NotKept();
          await insert(tx, summary, group.head, vector);
        });
        return true;
      } catch (error) {
        if (error instanceof NotKept) return false;
        throw error;
      }
    },

    bring: (tenantId, brought, vector) =>
      tenantSql(pool, tenantId).begin(async (tx) => {
        const [group] = await tx<{ head: string }[]>`
          update groups set head = head + 1
          where tenant_id = ${tenantId} and group_id = ${brought.groupId} returning head`;
        const there = await sameSummary(tx, tenantId, brought);
        if (there === undefined) {
          const summary = await completed(tx, tenantId, brought);
          if ("missing" in summary) return summary;
          if (!group) throw new Error("a group with episodes has its row");
          await tx`
            delete from backlog where tenant_id = ${tenantId} and stage = 'summarised'
              and episode_id = any(${[...summary.inputIds]}::uuid[])`;
          await insert(tx, summary, group.head, vector);
        }
        const [row] = await tx<SummaryRow[]>`
          select s.*, ${inputsColumn(tx)} from summaries s
          where s.tenant_id = ${tenantId} and s.id = ${there ?? brought.id}`;
        if (!row) throw new Error("what was inserted is there");
        return summaryOf(row);
      }),

    async list(tenantId, groupId, limit, before) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<SummaryRow[]>`
        select s.*, ${inputsColumn(sql)} from summaries s
        where s.tenant_id = ${tenantId} and s.group_id = ${groupId}
          ${before === undefined ? sql`` : sql`and s.id < ${before}::uuid`}
        order by s.id desc limit ${limit + 1}`;
      const items = rows.slice(0, limit).map(summaryOf);
      return { items, next: rows.length > limit ? items.at(-1)?.id : undefined };
    },
  };
}

/** What makes episodes e be of one turn. */
function turnOf(sql: ISql) {
  return sql`coalesce(nullif(e.turn_id, ''), e.id::text)`;
}

/** Of summaries s: of episodes, and nothing stands for it yet. */
function isFree(sql: ISql) {
  return sql`s.level = 1 and not exists (
    select from summary_inputs i where i.tenant_id = s.tenant_id and i.input_summary_id = s.id)`;
}

async function insert(
  tx: ISql,
  summary: NewSummary,
  revision: string,
  { model, vector }: SummaryVector,
): Promise<void> {
  const { tenantId, id, groupId, inputIds: inputs } = summary;
  await tx`
    insert into summaries (
      tenant_id, id, group_id, revision, level, text, made_by, input_hash, turns,
      covers_from, covers_to, recorded_at
    ) values (
      ${tenantId}, ${id}, ${groupId}, ${revision}, ${summary.level}, ${summary.text},
      ${summary.madeBy}, ${summary.inputHash}, ${summary.turns}, ${summary.coversFrom},
      ${summary.coversTo}, clock_timestamp()
    )`;
  await tx`
    insert into summary_inputs (tenant_id, summary_id, position, episode_id, input_summary_id)
    select ${tenantId}, ${id}, position, e.id, case when e.id is null then input end
    from unnest(${[...inputs]}::uuid[]) with ordinality as g (input, position)
    left join episodes e on e.tenant_id = ${tenantId} and e.id = input`;
  await tx`
    insert into summary_embeddings (tenant_id, summary_id, model, dimensions, vector)
    values (${tenantId}, ${id}, ${model}, ${vector.length}, ${vectorBytes(vector)})`;
}

/** Whether each input is there, and nothing stands for it yet. */
async function takeInputs(
  tx: ISql,
  tenantId: string,
  level: number,
  inputIds: readonly string[],
): Promise<boolean> {
  if (level === 1) {
    const taken = await tx`
      delete from backlog
      where tenant_id = ${tenantId} and stage = 'summarised'
        and episode_id = any(${[...inputIds]}::uuid[])`;
    return taken.count === inputIds.length;
  }
  const free = await tx`
    select from summaries s
    where s.tenant_id = ${tenantId} and s.id = any(${[...inputIds]}::uuid[]) and not exists (
      select from summary_inputs i where i.tenant_id = ${tenantId} and i.input_summary_id = s.id)`;
  return free.count === inputIds.length;
}

/** Episodes that no summary stands for. Most of them only wait for more turns, and are not counted. */
export function postgresSummaryBacklog(pool: Sql): StageBacklog<never> {
  const sql = everyTenantSql(pool);
  return {
    ...postgresStage<never>(pool, "summarised", async () => []),
    async count() {
      const [row] = await sql<Omit<StageCounts, "parked">[]>`
        select count(*)::int as waiting, count(*) filter (where failed <> '')::int as failed,
          ${lateMs(sql)} as "lateMs"
        from backlog where stage = 'summarised' and due_at <= now()`;
      return { waiting: 0, failed: 0, lateMs: 0, ...row, parked: 0 };
    },
  };
}
