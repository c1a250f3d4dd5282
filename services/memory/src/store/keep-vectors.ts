import type { KeepResults } from "./postgres-stages.ts";
import { vectorBytes } from "./vector-bytes.ts";

/**
 * Keeps the vectors of a model, numbered from their groups' heads, whose locks are taken in one
 * order; of the one in force, or of the next one. The driver knows no arrays of bytes: they travel as text.
 */
export function keepVectors(
  model: string,
  stage: "embedded" | "embedded_next" = "embedded",
): KeepResults<Float32Array> {
  return async (sql, passed) => {
    const of = passed.map(({ episode }) => episode);
    await sql`
      with given as (
        select * from unnest(
          ${of.map(({ tenantId }) => tenantId)}::text[],
          ${of.map(({ groupId }) => groupId)}::text[],
          ${of.map(({ id }) => id)}::uuid[],
          ${passed.map(({ value }) => value.length)}::int[],
          ${passed.map(({ value }) => vectorBytes(value).toString("hex"))}::text[],
          ${passed.map(({ attempts }) => attempts + 1)}::int[]
        ) as g (tenant_id, group_id, episode_id, dimensions, vector, attempts)
      ),
      locked as materialized (
        select tenant_id, group_id from groups
        where (tenant_id, group_id) in (select tenant_id, group_id from given)
        order by tenant_id, group_id
        for update
      ),
      taken as (
        delete from backlog b
        using given g join locked l using (tenant_id, group_id)
        where b.tenant_id = g.tenant_id and b.episode_id = g.episode_id and b.stage = ${stage}
        returning g.*
      ),
      numbered as (
        select *, row_number() over (partition by tenant_id, group_id order by episode_id) as number
        from taken
      ),
      counted as (
        select tenant_id, group_id, count(*) as count from taken group by tenant_id, group_id
      ),
      head as (
        update groups g set head = g.head + c.count
        from counted c where g.tenant_id = c.tenant_id and g.group_id = c.group_id
        returning g.tenant_id, g.group_id, g.head, c.count
      )
      insert into embeddings (
        tenant_id, episode_id, model, group_id, revision, dimensions, vector, attempts
      )
      select n.tenant_id, n.episode_id, ${model}, n.group_id, h.head - h.count + n.number,
        n.dimensions, decode(n.vector, 'hex'), n.attempts
      from numbered n join head h using (tenant_id, group_id)
      on conflict (tenant_id, episode_id, model) do nothing`;
    return [];
  };
}
