import type { ISql } from "postgres";
import type { Summary } from "../domain/summary.ts";

/**
 * Takes away every summary that rests on these episodes, also by way of other summaries, and enters
 * the episodes that are left of each window for a new one. Resolves with how many were taken away.
 */
export async function withdrawSummaries(
  tx: ISql,
  tenantId: string,
  groupId: string,
  episodeIds: readonly string[],
): Promise<number> {
  const rows = await tx<{ summary_id: string }[]>`
    with recursive withdrawn as (
      select summary_id from summary_inputs
      where tenant_id = ${tenantId} and episode_id = any(${[...episodeIds]}::uuid[])
      union
      select i.summary_id
      from summary_inputs i join withdrawn w on i.input_summary_id = w.summary_id
      where i.tenant_id = ${tenantId}
    )
    select summary_id from withdrawn`;
  const ids = rows.map(({ summary_id }) => summary_id);
  if (ids.length === 0) return 0;
  await tx`
    insert into backlog (tenant_id, episode_id, stage, group_id, withdrawn_window)
    select ${tenantId}, episode_id, 'summarised', ${groupId}, summary_id from summary_inputs
    where tenant_id = ${tenantId} and summary_id = any(${ids}::uuid[]) and episode_id is not null
      and episode_id <> all(${[...episodeIds]}::uuid[])
    on conflict (tenant_id, episode_id, stage) do update
      set withdrawn_window = excluded.withdrawn_window, due_at = now()`;
  await tx`
    delete from summary_inputs where tenant_id = ${tenantId} and summary_id = any(${ids}::uuid[])`;
  await tx`
    delete from summaries
    where tenant_id = ${tenantId} and group_id = ${groupId} and id = any(${ids}::uuid[])`;
  return ids.length;
}

/** The inputs of summaries s, in their order. */
export function inputsColumn(sql: ISql) {
  return sql`array(
    select coalesce(i.episode_id, i.input_summary_id) from summary_inputs i
    where i.tenant_id = s.tenant_id and i.summary_id = s.id order by i.position
  ) as input_ids`;
}

export interface SummaryRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly group_id: string;
  readonly level: number;
  readonly text: string;
  readonly made_by: string;
  readonly input_ids: readonly string[];
  readonly input_hash: string;
  readonly turns: number;
  readonly covers_from: Date;
  readonly covers_to: Date;
  readonly recorded_at: Date;
}

export function summaryOf(row: SummaryRow): Summary {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    groupId: row.group_id,
    level: row.level,
    text: row.text,
    madeBy: row.made_by,
    inputIds: row.input_ids,
    inputHash: row.input_hash,
    turns: row.turns,
    coversFrom: row.covers_from,
    coversTo: row.covers_to,
    recordedAt: row.recorded_at,
  };
}
