import type { Extraction } from "../domain/finding.ts";
import { asJson } from "./claim-rows.ts";
import type { KeepResults } from "./postgres-stages.ts";

/**
 * Keeps what was found, and enters for resolution the episodes of which anything was found now or
 * before. The groups are held meanwhile, as by everybody who writes of their episodes.
 */
export const keepExtractions: KeepResults<Extraction> = async (sql, passed) => {
  const rows = passed.map(({ episode, attempts, value }) => ({
    tenantId: episode.tenantId,
    groupId: episode.groupId,
    episodeId: episode.id,
    attempts: attempts + 1,
    ...value,
  }));
  await sql`
    with given as (
      select * from jsonb_to_recordset(${sql.json(asJson(rows))}) as g (
        "tenantId" text, "groupId" text, "episodeId" uuid, attempts int, extractor text,
        findings jsonb
      )
    ),
    locked as materialized (
      select tenant_id, group_id from groups
      where (tenant_id, group_id) in (select "tenantId", "groupId" from given)
      order by tenant_id, group_id
      for share
    ),
    taken as (
      delete from backlog b
      using given g join locked l on l.tenant_id = g."tenantId" and l.group_id = g."groupId"
      where b.tenant_id = g."tenantId" and b.episode_id = g."episodeId" and b.stage = 'extracted'
      returning g.*, b.again
    ),
    before as (
      select t.* from taken t
      join extractions x on x.tenant_id = t."tenantId" and x.episode_id = t."episodeId"
    ),
    entered as (
      insert into backlog as b (tenant_id, episode_id, stage, again)
      select "tenantId", "episodeId", 'resolved', again from taken t
      where jsonb_array_length(findings) > 0
        or exists (select from before o
          where o."tenantId" = t."tenantId" and o."episodeId" = t."episodeId")
      on conflict (tenant_id, episode_id, stage) do update
        set due_at = now(), parked = false, attempts = 0, failed = ''
    )
    insert into extractions as x (tenant_id, episode_id, extractor, found, attempts)
    select "tenantId", "episodeId", extractor, findings, attempts from taken
    on conflict (tenant_id, episode_id) do update
      set extractor = excluded.extractor, found = excluded.found, attempts = excluded.attempts,
          extracted_at = excluded.extracted_at`;
  return [];
};
