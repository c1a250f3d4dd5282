import { newId } from "@soldier/kernel/ids";
import type { ISql } from "postgres";
import type { Claim, NewClaim } from "../domain/claim.ts";
import { contentFree, mergedWith, reopened } from "../domain/erasure.ts";
import { factHistory } from "../domain/fact-history.ts";
import { asJson, claimFromJson, claimOf, type ClaimRow, insertClaims } from "./claim-rows.ts";
import type { Erasure, GroupErased, Probe } from "./erasure-store.ts";
import { insertVersions, readMerges, readSayings, readVersions, type Scope } from "./fact-rows.ts";
import { lockGroup, scopeOf } from "./group-changes.ts";
import { withdrawSummaries } from "./summary-rows.ts";

/** Leaves a transaction so that nothing of it stays but what was counted. */
export class RolledBack extends Error {
  readonly counted: unknown;
  constructor(counted: unknown) {
    super("this was only to count");
    this.counted = counted;
  }
}

const probesMax = 5;

/** The condition on episodes e. What was recorded after the erasure had begun is new, and stays. */
export function inScope(
  sql: ISql,
  { scope, about, until }: Pick<Erasure, "scope" | "about" | "until">,
) {
  switch (scope.kind) {
    case "episode":
      return sql`e.id = ${scope.episodeId}::uuid`;
    case "session":
      return sql`e.session_id = ${scope.sessionId} and e.session_id <> '' and e.recorded_at <= ${until}`;
    case "customer":
      return sql`e.customer_id = any(${[...about.customerIds]}) and e.customer_id <> ''
        and e.recorded_at <= ${until}`;
    case "expired":
      return sql`e.agent_id = ${scope.agentId} and e.agent_id <> '' and e.occurred_at < ${until}`;
    case "tenant":
      return sql`e.recorded_at <= ${until}`;
  }
}

/** See ErasureStore.eraseGroup. */
export async function eraseWithin(
  tx: ISql,
  erasure: Erasure,
  groupId: string,
): Promise<GroupErased> {
  const { tenantId } = erasure;
  const recordedAt = await lockGroup(tx, tenantId, groupId);
  const episodes = await tx<{ id: string; text: string }[]>`
    select e.id, e.text from episodes e
    where e.tenant_id = ${tenantId} and e.group_id = ${groupId} and ${inScope(tx, erasure)}
    order by sha256(convert_to(e.id::text, 'UTF8'))`;
  const ids = episodes.map(({ id }) => id);
  const whole = await isWhole(tx, erasure, groupId);
  const doomed = await doomedClaims(tx, erasure, groupId, ids, whole);
  const facts = await eraseClaims(tx, erasure, groupId, doomed, recordedAt);
  const parked = await eraseParked(tx, tenantId, groupId, ids, whole);
  const claimed = [...doomed, ...parked].flatMap(namesIn);
  const summaries = await withdrawSummaries(tx, tenantId, groupId, ids);
  const mentioned = await tx<{ entity_id: string }[]>`
    select distinct entity_id from entity_mentions
    where tenant_id = ${tenantId} and episode_id = any(${ids}::uuid[])`;
  const embeddings = await tx`
    delete from embeddings where tenant_id = ${tenantId} and episode_id = any(${ids}::uuid[])`;
  const named = [...claimed, ...mentioned.map(({ entity_id }) => entity_id)];
  const gone = await tx`
    delete from episodes where tenant_id = ${tenantId} and id = any(${ids}::uuid[])`;
  const names = await eraseNames(tx, tenantId, groupId, named, whole);
  await tx`
    update groups set head = head + 1, erased_revision = head + 1
    where tenant_id = ${tenantId} and group_id = ${groupId}`;
  const probes = episodes.slice(0, probesMax).map(({ id, text }): Probe => {
    return { groupId, episodeId: id, text };
  });
  const counts = {
    episodes: gone.count,
    embeddings: embeddings.count,
    claims: doomed.length,
    ...facts,
    parked_claims: parked.length,
    summaries,
    ...names,
  };
  return {
    counts: Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    probes,
  };
}

/** Whether all that the group is about goes, what operators said included. */
async function isWhole(
  tx: ISql,
  { tenantId, scope, about }: Erasure,
  groupId: string,
): Promise<boolean> {
  if (scope.kind === "tenant") return true;
  if (scope.kind !== "customer") return false;
  if (about.customerIds.includes(groupId)) return true;
  const [other] = await tx`
    select from episodes
    where tenant_id = ${tenantId} and group_id = ${groupId}
      and customer_id <> all(${[...about.customerIds]})
    limit 1`;
  return other === undefined;
}

/** Claims from the episodes, of the customer, and those whose target is one of these. */
async function doomedClaims(
  tx: ISql,
  { tenantId, about, until }: Erasure,
  groupId: string,
  episodeIds: readonly string[],
  whole: boolean,
): Promise<readonly Claim[]> {
  const rows = await tx<ClaimRow[]>`
    with recursive doomed as (
      select c.* from claims c
      where c.tenant_id = ${tenantId} and c.group_id = ${groupId} and (
        c.episode_id = any(${[...episodeIds]}::uuid[])
        or (c.episode_id is null and c.recorded_at <= ${until} and (
          ${whole}
          or c.subject = any(${[...about.customerIds]})
          or (c.value->>'kind' = 'entity' and c.value->>'id' = any(${[...about.customerIds]}))))
      )
      union
      select c.* from claims c join doomed d on c.target = d.id
      where c.tenant_id = ${tenantId} and c.group_id = ${groupId}
    )
    select * from doomed`;
  return rows.map(claimOf);
}

async function eraseClaims(
  tx: ISql,
  { tenantId, id: erasureId }: Erasure,
  groupId: string,
  doomed: readonly Claim[],
  recordedAt: Date,
) {
  if (doomed.length === 0) return {};
  const nothing = { predicates: [], subjects: [], wholePredicates: [] };
  const { merges, uses } = await readSayings(tx, tenantId, groupId, nothing);
  const touched = scopeOf(doomed, merges, uses);
  const scope: Scope = { ...touched, subjects: [...mergedWith(touched.subjects, merges)] };
  const before = await readVersions(tx, tenantId, groupId, { scope, superseded: true });
  const said = await readSayings(tx, tenantId, groupId, scope);
  const going = new Set(doomed.map(({ id }) => id));
  const surviving = said.claims.filter(({ id }) => !going.has(id));
  const kept = contentFree(doomed, surviving, () => newId());

  await tx`
    delete from claims where tenant_id = ${tenantId} and id = any(${[...going]})`;
  if (kept.length > 0) await insertClaims(tx, tenantId, kept);
  const history = factHistory({ ...said, claims: [...surviving, ...kept] });
  const versions = await tx`
    delete from fact_versions
    where tenant_id = ${tenantId} and number = any(${before.map(({ number }) => number)}::bigint[])`;
  await insertVersions(tx, said, history);

  const believed = before.filter(({ supersededAt }) => supersededAt === Infinity);
  const now = history.filter(({ supersededAt }) => supersededAt === Infinity);
  const again = reopened(believed, now);
  if (again.length > 0)
    await tx`
      insert into reopened_facts (tenant_id, group_id, fact_id, erasure_id, reopened_at)
      select ${tenantId}, ${groupId}, id, ${erasureId}, ${recordedAt}
      from unnest(${[...again]}::uuid[]) as id
      on conflict (tenant_id, group_id, fact_id) do update
        set erasure_id = excluded.erasure_id, reopened_at = excluded.reopened_at`;
  await tx`
    delete from reopened_facts r
    where r.tenant_id = ${tenantId} and r.group_id = ${groupId} and not exists (
      select from fact_versions v
      where v.tenant_id = ${tenantId} and v.group_id = ${groupId} and v.fact_id = r.fact_id)`;
  return {
    fact_versions: versions.count - history.length,
    facts_reopened: again.length,
    retractions_kept: kept.length,
  };
}

/** Takes claims from erased episodes out of batches that wait for a person, and answers with them. */
async function eraseParked(
  tx: ISql,
  tenantId: string,
  groupId: string,
  episodeIds: readonly string[],
  whole: boolean,
): Promise<readonly NewClaim[]> {
  const rows = await tx<{ id: string; claims: readonly Record<string, unknown>[] }[]>`
    select id, claims from parked_claims
    where tenant_id = ${tenantId} and group_id = ${groupId} for update`;
  const erased = new Set(episodeIds);
  const gone: NewClaim[] = [];
  for (const { id, claims } of rows) {
    const stays = (claim: Record<string, unknown>) => {
      const { episodeId } = claimFromJson(claim);
      return !whole && !(episodeId !== undefined && erased.has(episodeId));
    };
    const left = claims.filter(stays);
    gone.push(...claims.filter((claim) => !stays(claim)).map(claimFromJson));
    if (left.length === 0)
      await tx`delete from parked_claims where tenant_id = ${tenantId} and id = ${id}`;
    else if (left.length < claims.length)
      // The hash was over what is gone, and would tell who guesses it.
      await tx`
        update parked_claims set claims = ${tx.json(asJson(left))}, content = ${id}
        where tenant_id = ${tenantId} and id = ${id}`;
  }
  return gone;
}

/** Entities that nothing speaks of any more, and what was said of their names. */
async function eraseNames(
  tx: ISql,
  tenantId: string,
  groupId: string,
  named: readonly string[],
  whole: boolean,
) {
  const [said] = await tx`
    select from claims where tenant_id = ${tenantId} and group_id = ${groupId} limit 1`;
  if (whole && !said) {
    const merges = await tx`
      delete from entity_merges where tenant_id = ${tenantId} and group_id = ${groupId}`;
    const entities = await tx`
      delete from entities where tenant_id = ${tenantId} and group_id = ${groupId}`;
    await tx`delete from predicate_uses where tenant_id = ${tenantId} and group_id = ${groupId}`;
    return { entities: entities.count, entity_merges: merges.count };
  }
  const merges = await readMerges(tx, tenantId, [groupId]);
  const orphans = new Set<string>();
  for (const id of new Set(named)) {
    if (orphans.has(id)) continue;
    const together = [...mergedWith([id], merges)];
    const [spoken] = await tx`
      select from claims
      where tenant_id = ${tenantId} and group_id = ${groupId} and (
        subject = any(${together})
        or (value->>'kind' = 'entity' and value->>'id' = any(${together})))
      union all
      select from parked_claims p, jsonb_array_elements(p.claims) as c
      where p.tenant_id = ${tenantId} and p.group_id = ${groupId} and (
        c->>'subject' = any(${together})
        or (c->'value'->>'kind' = 'entity' and c->'value'->>'id' = any(${together})))
      union all
      select from entity_mentions
      where tenant_id = ${tenantId} and entity_id = any(${together})
      limit 1`;
    if (!spoken) for (const each of together) orphans.add(each);
  }
  const ids = [...orphans];
  if (ids.length === 0) return {};
  const unmerged = await tx`
    delete from entity_merges
    where tenant_id = ${tenantId} and group_id = ${groupId}
      and (from_id = any(${ids}) or to_id = any(${ids}))`;
  const entities = await tx`
    delete from entities where tenant_id = ${tenantId} and group_id = ${groupId} and id = any(${ids})`;
  return { entities: entities.count, entity_merges: unmerged.count };
}

function namesIn({ subject, value }: NewClaim): readonly string[] {
  return value?.kind === "entity" ? [subject, value.id] : [subject];
}
