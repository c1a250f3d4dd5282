import { everyTenantSql, tenantSql } from "@soldier/storage/tenant";
import type { ISql, Sql } from "postgres";
import { canonicaliser } from "../domain/canonical.ts";
import type { ClaimValue } from "../domain/claim.ts";
import type { Candidate } from "../domain/entity-matching.ts";
import type { Episode } from "../domain/episode.ts";
import type { Extraction } from "../domain/finding.ts";
import { type CorrectableFact, isMachine } from "../domain/resolution.ts";
import { readMerges } from "./fact-rows.ts";
import type { GroupName, ResolutionStore } from "./resolution-store.ts";

const entitiesMax = 10_000;
const reprocessPage = 5_000;

/** The models whose vectors there should be, by the stage that makes them. */
export type ModelsByStage = Readonly<Partial<Record<"embedded" | "embedded_next", string>>>;

export function postgresResolutions(pool: Sql, models: ModelsByStage = {}): ResolutionStore {
  return {
    async extraction(tenantId, episodeId) {
      const [row] = await tenantSql(pool, tenantId)<Pick<Extraction, "extractor">[]>`
        select extractor, found as findings from extractions
        where tenant_id = ${tenantId} and episode_id = ${episodeId}`;
      return row as Extraction | undefined; // this service wrote it from one
    },

    async names(groups) {
      return everyTenantSql(pool)<GroupName[]>`
        select e.tenant_id as "tenantId", e.group_id as "groupId", e.type, n as name
        from unnest(
          ${groups.map(({ tenantId }) => tenantId)}::text[],
          ${groups.map(({ groupId }) => groupId)}::text[]
        ) as g (tenant_id, group_id)
        join entities e on e.tenant_id = g.tenant_id and e.group_id = g.group_id
        cross join unnest(e.aliases || e.name) as n
        where e.type in ('organisation', 'product')`;
    },

    async predicates(tenantId) {
      const rows = await tenantSql(pool, tenantId)<{ name: string }[]>`
        select name from predicates where tenant_id = ${tenantId} order by position`;
      return rows.map(({ name }) => name);
    },

    entities: (tenantId, groupId) => entitiesOf(tenantSql(pool, tenantId), tenantId, groupId),

    async known(episode, correcting) {
      const { tenantId, groupId } = episode;
      const sql = tenantSql(pool, tenantId);
      const rows = await claimsFrom(sql, episode);
      const takenBack = rows.filter((row) => row.retracted_by !== null);
      return {
        episode,
        entities: await entitiesOf(sql, tenantId, groupId),
        earlier: rows.filter((row) => row.retracted_by === null && row.kind !== "retract"),
        withdrawn: new Set(
          takenBack.filter((row) => isMachine(row.retracted_by ?? "")).map(({ id }) => id),
        ),
        facts: correcting ? await correctable(sql, episode) : [],
      };
    },

    async earlierWaits({ tenantId, groupId, sessionId, id, occurredAt }) {
      if (sessionId === "") return false;
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<{ waits: boolean }[]>`
        select exists (
          select from episodes e
          join backlog b on b.tenant_id = e.tenant_id and b.episode_id = e.id
            and b.stage in ('extracted', 'resolved') and not b.parked
          where e.tenant_id = ${tenantId} and e.group_id = ${groupId}
            and e.session_id = ${sessionId} and e.id <> ${id} and e.role = 'user'
            and e.occurred_at < ${occurredAt}
        ) as waits`;
      return row?.waits ?? false;
    },

    async reprocess(tenantId, stage, groupId) {
      const sql = tenantSql(pool, tenantId);
      const stages = stage === "embedded" ? Object.keys(models) : [stage];
      const lacking = stage === "embedded" ? Object.values(models) : stages.map(() => "");
      let entered = 0;
      let after = "00000000-0000-0000-0000-000000000000";
      // In pieces: one statement for a large tenant would hold its rows for as long as it takes.
      for (;;) {
        const [page] = await sql<{ last: string | null; entered: number }[]>`
          with page as materialized (
            select id from episodes
            where tenant_id = ${tenantId} and id > ${after}::uuid
              ${groupId === undefined ? sql`` : sql`and group_id = ${groupId}`}
            order by id limit ${reprocessPage}
          ),
          entered as (
            insert into backlog (tenant_id, episode_id, stage, again)
            select ${tenantId}, p.id, s.stage, true
            from page p cross join unnest(${stages}::text[], ${lacking}::text[]) as s (stage, model)
            where not exists (
              select from embeddings x
              where x.tenant_id = ${tenantId} and x.episode_id = p.id and x.model = s.model)
            on conflict do nothing
            returning episode_id
          )
          select (select max(id::text) from page) as last,
            (select count(*)::int from entered) as entered`;
        if (!page?.last) return entered;
        entered += page.entered;
        after = page.last;
      }
    },
  };
}

interface ClaimOfEpisode {
  readonly id: string;
  readonly kind: string;
  readonly extractor: string;
  readonly subject: string;
  readonly predicate: string;
  /** The extractor of what took it back; null when nothing did. */
  readonly retracted_by: string | null;
}

function claimsFrom(sql: ISql, { tenantId, groupId, id }: Episode) {
  return sql<ClaimOfEpisode[]>`
    select c.id, c.kind, c.extractor, c.subject, c.predicate,
      (select r.extractor from claims r
        where r.tenant_id = c.tenant_id and r.group_id = c.group_id and r.kind = 'retract'
          and r.predicate = c.predicate and r.target = c.id
        order by r.recorded_at desc limit 1) as retracted_by
    from claims c
    where c.tenant_id = ${tenantId} and c.group_id = ${groupId} and c.episode_id = ${id}`;
}

async function entitiesOf(
  sql: ISql,
  tenantId: string,
  groupId: string,
): Promise<readonly Candidate[]> {
  const rows = await sql<Omit<Candidate, "canonicalId">[]>`
    select id, type, name, aliases from entities
    where tenant_id = ${tenantId} and group_id = ${groupId}
    order by id limit ${entitiesMax}`;
  if (rows.length === 0) return [];
  const merges = await readMerges(sql, tenantId, [groupId]);
  const canonical = canonicaliser(merges, Number.MAX_SAFE_INTEGER);
  return rows.map((row) => ({ ...row, canonicalId: canonical(row.id) }));
}

/** What holds of the customer, and whether it is all that the episode before this one said. */
async function correctable(
  sql: ISql,
  { tenantId, groupId, customerId, sessionId, id, occurredAt }: Episode,
): Promise<readonly CorrectableFact[]> {
  const rows = await sql<
    { predicate: string; value: ClaimValue; from: Date; authority: string; latest: boolean }[]
  >`
    with before as (
      select id from episodes
      where tenant_id = ${tenantId} and group_id = ${groupId} and role = 'user' and id <> ${id}
        and session_id = ${sessionId} and session_id <> '' and occurred_at <= ${occurredAt}
      order by occurred_at desc limit 1
    )
    select v.predicate, v.value, lower(v.valid) as from, v.authority,
      exists (
        select from claims c join before b on b.id = c.episode_id
        where c.tenant_id = v.tenant_id and c.id = any(v.claim_ids)
      ) as latest
    from fact_versions v
    where v.tenant_id = ${tenantId} and v.group_id = ${groupId} and v.subject = ${customerId}
      and upper_inf(v.tx) and upper_inf(v.valid) and not v.disputed`;
  return rows.map(({ authority, ...fact }) => ({ ...fact, verified: authority === "verified" }));
}
