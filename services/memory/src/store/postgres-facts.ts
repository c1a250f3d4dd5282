import { tenantSql } from "@soldier/storage/tenant";
import type { ISql, Sql } from "postgres";
import { canonicaliser } from "../domain/canonical.ts";
import { canonicalJson, type NewClaim, valueKey } from "../domain/claim.ts";
import type { EntityMerge } from "../domain/entity.ts";
import { factHistory, type FactVersion, versionKey } from "../domain/fact-history.ts";
import { addClaims, addWithin, inOne, type Tried } from "./add-claims.ts";
import { claimFromJson } from "./claim-rows.ts";
import { entityNames, queryFacts } from "./fact-queries.ts";
import { insertVersions, mergeOf, readMerges, readSayings, readVersions } from "./fact-rows.ts";
import { releaseReviewed } from "./keep-resolutions.ts";
import type { FactStore, MergeOutcome, ParkedClaims } from "./fact-store.ts";
import { lockGroup, noteRules, predicatesLock, recompute } from "./group-changes.ts";

/** Facts in PostgreSQL, each call as its tenant. */
export function postgresFactStore(pool: Sql): FactStore {
  const of = (tenantId: string) => storeOf(tenantSql(pool, tenantId));
  return {
    addClaims: (tenantId, ...rest) => of(tenantId).addClaims(tenantId, ...rest),
    facts: (tenantId, query) => of(tenantId).facts(tenantId, query),
    setPredicates: (tenantId, all) => of(tenantId).setPredicates(tenantId, all),
    addEntities: (tenantId, all) => of(tenantId).addEntities(tenantId, all),
    entitiesById: (tenantId, ids) => of(tenantId).entitiesById(tenantId, ids),
    listEntities: (tenantId, ...rest) => of(tenantId).listEntities(tenantId, ...rest),
    merge: (tenantId, merge) => of(tenantId).merge(tenantId, merge),
    unmerge: (tenantId, mergeId) => of(tenantId).unmerge(tenantId, mergeId),
    listParked: (tenantId, ...rest) => of(tenantId).listParked(tenantId, ...rest),
    review: (tenantId, ...rest) => of(tenantId).review(tenantId, ...rest),
    rebuild: (tenantId, groupId) => of(tenantId).rebuild(tenantId, groupId),
  };
}

function storeOf(sql: Sql): FactStore {
  return {
    ...entityNames(sql),
    addClaims: (tenantId, groupId, claims, limits) =>
      addClaims(sql, { tenantId, groupId, claims, limits }),
    facts: (tenantId, query) => queryFacts(sql, tenantId, query),

    async setPredicates(tenantId, predicates) {
      const rows = predicates.map((predicate, position) => ({ ...predicate, position }));
      await sql.begin(async (tx) => {
        // Writers of facts have read the predicates of before until they commit.
        await tx`select pg_advisory_xact_lock(${predicatesLock(tx, tenantId)})`;
        await tx`delete from predicates where tenant_id = ${tenantId}`;
        await tx`
          insert into predicates (
            tenant_id, name, position, cardinality, inverse_one, authority_first, subject_types,
            object_types, temporal_kind, pii_class
          )
          select ${tenantId}, name, position, cardinality, "inverseOne", "authorityFirst",
            "subjectTypes", "objectTypes", "temporalKind", "piiClass"
          from jsonb_to_recordset(${tx.json(rows)}) as p (
            name text, position int, cardinality text, "inverseOne" bool, "authorityFirst" bool,
            "subjectTypes" text[], "objectTypes" text[], "temporalKind" text, "piiClass" text
          )`;
      });
      // Each group by itself: cut short, the same call again does the rest.
      const groups = await sql<{ group_id: string; predicates: string[] }[]>`
        select group_id, array_agg(distinct predicate) as predicates from predicate_uses
        where tenant_id = ${tenantId} group by group_id order by group_id`;
      for (const { group_id, predicates: used } of groups)
        await sql.begin((tx) => applyRules(tx, tenantId, group_id, used));
    },

    merge: (tenantId, merge) => sql.begin((tx) => mergeWithin(tx, tenantId, merge)),

    unmerge: (tenantId, mergeId) =>
      sql.begin(async (tx) => {
        const [found] = await tx<{ group_id: string }[]>`
          select group_id from entity_merges where tenant_id = ${tenantId} and id = ${mergeId}`;
        if (!found) return undefined;
        const recordedAt = await lockGroup(tx, tenantId, found.group_id);
        const [undone] = await tx`
          update entity_merges set undone_at = ${recordedAt}
          where tenant_id = ${tenantId} and id = ${mergeId} and undone_at is null
          returning id`;
        if (undone) await recompute(tx, tenantId, found.group_id, undefined, recordedAt);
        const merges = await readMerges(tx, tenantId, [found.group_id]);
        return merges.find(({ id }) => id === mergeId);
      }),

    async listParked(tenantId, limit, after) {
      const rows = await sql<ParkedRow[]>`
        select * from parked_claims
        where tenant_id = ${tenantId} ${after === undefined ? sql`` : sql`and id > ${after}::uuid`}
        order by id limit ${limit + 1}`;
      const items = rows.slice(0, limit).map(parkedOf);
      return { items, next: rows.length > limit ? items.at(-1)?.id : undefined };
    },

    async review(tenantId, parkedId, accept) {
      const found: ParkedRow[] = [];
      const tried = await inOne(sql, async (tx) => {
        const [row] = await tx<ParkedRow[]>`
          delete from parked_claims where tenant_id = ${tenantId} and id = ${parkedId} returning *`;
        if (row) found.push(row);
        if (!row) return { kind: "stored", claims: [] };
        const { groupId, claims } = parkedOf(row);
        const added: Tried = accept
          ? await addWithin(tx, { tenantId, groupId, claims, limits: undefined })
          : { kind: "stored", claims: [] };
        const episodeIds = claims.flatMap(({ episodeId }) => episodeId ?? []);
        if (added.kind === "stored") await releaseReviewed(tx, tenantId, [...new Set(episodeIds)]);
        return added;
      });
      if (tried.kind === "too-many") throw new Error("without limits nothing is too many");
      return found.length > 0 ? tried : undefined;
    },

    rebuild: (tenantId, groupId) =>
      sql.begin(async (tx) => {
        await lockGroup(tx, tenantId, groupId);
        const said = await readSayings(tx, tenantId, groupId, undefined);
        const there = await readVersions(tx, tenantId, groupId, { superseded: true });
        const wanted = factHistory(said);
        const [old, made] = [new Set(there.map(contentOf)), new Set(wanted.map(contentOf))];
        const wrong = [
          ...[...old].filter((each) => !made.has(each)),
          ...[...made].filter((each) => !old.has(each)),
        ].length;
        if (wrong === 0 && there.length === wanted.length) return 0;
        await tx`
          delete from fact_versions where tenant_id = ${tenantId} and group_id = ${groupId}`;
        await insertVersions(tx, said, wanted);
        return Math.max(wrong, 1);
      }),
  };
}

/** All of a version but its number. */
function contentOf(version: FactVersion): string {
  const { subject, predicate, value, inverseSlot, authority, confirmedAt } = version;
  const { recordedAt, supersededAt, supersededBy } = version;
  const known = [subject, predicate, valueKey(value), inverseSlot, authority, confirmedAt];
  return JSON.stringify([
    versionKey(version),
    ...known,
    canonicalJson(version.attributes),
    recordedAt,
    String(supersededAt),
    supersededBy,
  ]);
}

/** Lets the group's facts follow by the predicates as they are declared now. */
async function applyRules(
  tx: ISql,
  tenantId: string,
  groupId: string,
  used: readonly string[],
): Promise<void> {
  const recordedAt = await lockGroup(tx, tenantId, groupId);
  const nothing = { predicates: [], subjects: [], wholePredicates: [] };
  const { uses } = await readSayings(tx, tenantId, groupId, nothing);
  const changed = await noteRules(tx, { tenantId, groupId, uses }, used, recordedAt);
  if (changed.length === 0) return;
  const scope = { predicates: changed, subjects: [], wholePredicates: changed };
  await recompute(tx, tenantId, groupId, scope, recordedAt);
}

async function mergeWithin(
  tx: ISql,
  tenantId: string,
  given: Pick<EntityMerge, "id" | "from" | "to" | "by" | "evidence">,
): Promise<MergeOutcome> {
  const entities = await tx<{ id: string; group_id: string }[]>`
    select id, group_id from entities
    where tenant_id = ${tenantId} and id = any(${[given.from, given.to]})`;
  const from = entities.find(({ id }) => id === given.from);
  const to = entities.find(({ id }) => id === given.to);
  if (!from) return { kind: "not-found", entityId: given.from };
  if (!to) return { kind: "not-found", entityId: given.to };
  if (from.group_id !== to.group_id)
    return { kind: "refused", why: "the entities are of two groups" };
  const groupId = from.group_id;
  const recordedAt = await lockGroup(tx, tenantId, groupId);
  const merges = await readMerges(tx, tenantId, [groupId]);
  const active = merges.find((merge) => merge.from === given.from && !merge.undoneAt);
  if (active?.to === given.to) return { kind: "merged", merge: active };
  if (active)
    return {
      kind: "refused",
      why: `${given.from} is merged into ${active.to}; take that back first`,
    };
  const canonical = canonicaliser(merges, recordedAt.getTime());
  if (canonical(given.to) === given.from)
    return { kind: "refused", why: `${given.from} stands for ${given.to} already` };
  const [row] = await tx<Parameters<typeof mergeOf>[0][]>`
    insert into entity_merges (tenant_id, id, group_id, from_id, to_id, by, evidence, recorded_at)
    values (${tenantId}, ${given.id}, ${groupId}, ${given.from}, ${given.to}, ${given.by},
      ${given.evidence}, ${recordedAt})
    returning *`;
  if (!row) throw new Error("an insert answers with its row");
  await recompute(tx, tenantId, groupId, undefined, recordedAt);
  return { kind: "merged", merge: mergeOf(row) };
}

interface ParkedRow {
  readonly id: string;
  readonly group_id: string;
  readonly claims: readonly Record<string, unknown>[];
  readonly facts_ended: number;
  readonly facts_held: number;
  readonly why: ParkedClaims["why"];
  readonly parked_at: Date;
}

function parkedOf(row: ParkedRow): ParkedClaims {
  const claims: readonly NewClaim[] = row.claims.map(claimFromJson);
  return {
    id: row.id,
    groupId: row.group_id,
    claims,
    factsEnded: row.facts_ended,
    factsHeld: row.facts_held,
    why: row.why,
    parkedAt: row.parked_at,
  };
}
