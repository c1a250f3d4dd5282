import type { ISql } from "postgres";
import type { GroupChange, GroupNews, KnownGroup } from "./episode-store.ts";
import { columns, type EpisodeRow, episodeOf } from "./episode-rows.ts";
import { vectorOf } from "./vector-bytes.ts";

/** See EpisodeStore.news. */
export async function groupNews(
  sql: ISql,
  tenantId: string,
  model: string,
  known: readonly KnownGroup[],
): Promise<readonly GroupNews[]> {
  // The head, compared first, answers for the many groups in which nothing happened. No change is above it:
  // it is there as a bound for the planner, which takes what is between two for few, and plans once for all.
  const rows = await sql<(ChangeRow | HeadRow)[]>`
    with known as (${knownRows(sql, known)}),
    found as materialized (
      select g.group_id, g.head, known.revision, known.facts as told_facts,
        g.erased_revision > known.revision as anew,
        case when g.erased_revision > known.revision then 0 else known.revision end as since,
        known.facts or exists (
          select from fact_versions v where v.tenant_id = ${tenantId} and v.group_id = g.group_id
        ) as facts,
        known.summaries or exists (
          select from summaries s where s.tenant_id = ${tenantId} and s.group_id = g.group_id
        ) as summaries
      from known join groups g on g.tenant_id = ${tenantId} and g.group_id = known.id
    )
    select changed.*, f.group_id, f.head::float8 as head, f.anew, f.facts, f.summaries
    from found f
    left join lateral (
      select ${columns(sql)}, null::bytea as vector
      from episodes e
      where e.tenant_id = ${tenantId} and e.group_id = f.group_id
        and e.revision > f.since and e.revision <= f.head
      union all
      select x.episode_id, x.tenant_id, x.group_id, x.revision::float8, '', '', '', '', '', '',
        '', 'epoch', 'epoch', x.vector
      from embeddings x
      where x.tenant_id = ${tenantId} and x.group_id = f.group_id and x.model = ${model}
        and x.revision > f.since and x.revision <= f.head
    ) changed on f.head > f.revision
    where f.head > f.revision or f.facts <> f.told_facts
    order by f.group_id, changed.revision`;
  return newsOf(rows);
}

/** One group, as in nearly every turn, is told as values of its own, of which the planner knows that they are one row. */
function knownRows(sql: ISql, known: readonly KnownGroup[]) {
  const rows = known.map(({ groupId, revision, hasFacts = false, hasSummaries = false }) => {
    return { id: groupId, revision, facts: hasFacts, summaries: hasSummaries };
  });
  const [one, ...others] = rows;
  return one && others.length === 0
    ? sql`
        select ${one.id}::text as id, ${one.revision}::bigint as revision,
          ${one.facts}::boolean as facts, ${one.summaries}::boolean as summaries`
    : sql`
        select * from jsonb_to_recordset(${sql.json(rows)})
          as known (id text, revision bigint, facts boolean, summaries boolean)`;
}

interface NewsRow {
  readonly head: number;
  readonly anew: boolean;
  readonly facts: boolean;
  readonly summaries: boolean;
}

type ChangeRow = NewsRow & EpisodeRow & { readonly vector: Buffer | null };

/** A group of which nothing changed that counts here, e.g. a vector of another model. */
type HeadRow = NewsRow & { readonly group_id: string; readonly id: null };

function newsOf(rows: readonly (ChangeRow | HeadRow)[]): readonly GroupNews[] {
  const news = new Map<string, GroupNews & { readonly changes: GroupChange[] }>();
  for (const row of rows) {
    const group = news.get(row.group_id) ?? {
      groupId: row.group_id,
      revision: row.head,
      ...(row.anew && { anew: true }),
      ...(row.facts && { hasFacts: true }),
      ...(row.summaries && { hasSummaries: true }),
      changes: [],
    };
    if (row.id !== null) group.changes.push(changeOf(row));
    news.set(row.group_id, group);
  }
  return [...news.values()];
}

function changeOf(row: ChangeRow): GroupChange {
  const { revision } = row;
  return row.vector
    ? { kind: "vector", revision, episodeId: row.id, vector: vectorOf(row.vector) }
    : { kind: "episode", revision, episode: episodeOf(row) };
}
