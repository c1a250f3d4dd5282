import type { JsonObject } from "@bufbuild/protobuf";
import type { ISql } from "postgres";
import type { EntityMerge } from "../domain/entity.ts";
import type { ClaimValue } from "../domain/claim.ts";
import { valueKey } from "../domain/claim.ts";
import { type FactChanges, type FactVersion, type SupersededBy } from "../domain/fact-history.ts";
import type { Fact, PredicateUse, Sayings } from "../domain/facts.ts";
import { asJson, claimOf, type ClaimRow } from "./claim-rows.ts";
import type { StoredFact } from "./fact-store.ts";

/** Which of a group's slots: undefined is all. */
export interface Scope {
  readonly predicates: readonly string[];
  /** Of these subjects alone, but for predicates whose values belong to one subject at a time. */
  readonly subjects: readonly string[];
  readonly wholePredicates: readonly string[];
}

/** A version that the table believes, with its number. */
export interface NumberedFact extends StoredFact {
  readonly number: number;
}

export interface FactRow {
  readonly tenant_id: string;
  readonly number: number;
  readonly group_id: string;
  readonly fact_id: string;
  readonly slot: string;
  readonly inverse_slot: string | null;
  readonly subject: string;
  readonly predicate: string;
  readonly value: ClaimValue;
  readonly valid_from: Date;
  readonly valid_to: Date | null;
  readonly recorded_at: Date;
  readonly superseded_at: Date | null;
  readonly claim_ids: readonly string[];
  readonly reason: Fact["reason"] | null;
  readonly superseded_by: SupersededBy | null;
  readonly disputed: boolean;
  readonly authority: Fact["authority"];
  readonly confirmed_at: Date;
  readonly attributes: JsonObject;
  readonly reopened: boolean;
}

export function factColumns(sql: ISql) {
  return sql`v.tenant_id, v.number::float8 as number, v.group_id, v.fact_id, v.slot,
    v.inverse_slot, v.subject, v.predicate, v.value, lower(v.valid) as valid_from,
    upper(v.valid) as valid_to, lower(v.tx) as recorded_at, upper(v.tx) as superseded_at,
    v.claim_ids, v.reason, v.superseded_by, v.disputed, v.authority, v.confirmed_at, v.attributes,
    upper_inf(v.tx) and exists (
      select from reopened_facts r
      where r.tenant_id = v.tenant_id and r.group_id = v.group_id and r.fact_id = v.fact_id
        and r.reopened_at >= (
          select max(c.recorded_at) from claims c
          where c.tenant_id = v.tenant_id and c.id = any(v.claim_ids))
    ) as reopened`;
}

export function factOf(row: FactRow): NumberedFact {
  return {
    tenantId: row.tenant_id,
    number: row.number,
    groupId: row.group_id,
    factId: row.fact_id,
    slot: row.slot,
    inverseSlot: row.inverse_slot ?? undefined,
    subject: row.subject,
    predicate: row.predicate,
    value: row.value,
    from: row.valid_from.getTime(),
    to: row.valid_to?.getTime() ?? Infinity,
    recordedAt: row.recorded_at.getTime(),
    supersededAt: row.superseded_at?.getTime() ?? Infinity,
    claimIds: row.claim_ids,
    reason: row.reason ?? undefined,
    supersededBy: row.superseded_by ?? undefined,
    disputed: row.disputed,
    authority: row.authority,
    confirmedAt: row.confirmed_at.getTime(),
    attributes: row.attributes,
    reopened: row.reopened,
  };
}

/** What is said in a group, or in some of its slots. */
export async function readSayings(
  sql: ISql,
  tenantId: string,
  groupId: string,
  scope: Scope | undefined,
): Promise<Sayings> {
  const rows = await sql<ClaimRow[]>`
    select v.* from claims v
    where v.tenant_id = ${tenantId} and v.group_id = ${groupId} ${within(sql, scope)}`;
  return {
    tenantId,
    groupId,
    claims: rows.map(claimOf),
    merges: await readMerges(sql, tenantId, [groupId]),
    uses: await readUses(sql, tenantId, groupId),
  };
}

/** The versions believed now, or all that ever were. */
export async function readVersions(
  sql: ISql,
  tenantId: string,
  groupId: string,
  which: { readonly scope?: Scope | undefined; readonly superseded: boolean },
): Promise<readonly NumberedFact[]> {
  const rows = await sql<FactRow[]>`
    select ${factColumns(sql)} from fact_versions v
    where v.tenant_id = ${tenantId} and v.group_id = ${groupId}
      ${which.superseded ? sql`` : sql`and upper_inf(v.tx)`} ${within(sql, which.scope)}`;
  return rows.map(factOf);
}

/** A condition on v.predicate and v.subject. */
function within(sql: ISql, scope: Scope | undefined) {
  if (!scope) return sql``;
  return sql`and v.predicate = any(${[...scope.predicates]})
    and (v.subject = any(${[...scope.subjects]}) or v.predicate = any(${[...scope.wholePredicates]}))`;
}

interface MergeRow {
  readonly id: string;
  readonly group_id: string;
  readonly from_id: string;
  readonly to_id: string;
  readonly by: string;
  readonly evidence: string;
  readonly recorded_at: Date;
  readonly undone_at: Date | null;
}

export function mergeOf(row: MergeRow): EntityMerge {
  return {
    id: row.id,
    groupId: row.group_id,
    from: row.from_id,
    to: row.to_id,
    by: row.by,
    evidence: row.evidence,
    recordedAt: row.recorded_at,
    undoneAt: row.undone_at ?? undefined,
  };
}

export async function readMerges(
  sql: ISql,
  tenantId: string,
  groupIds: readonly string[],
): Promise<readonly EntityMerge[]> {
  const rows = await sql<MergeRow[]>`
    select * from entity_merges
    where tenant_id = ${tenantId} and group_id = any(${[...groupIds]})
    order by recorded_at, id`;
  return rows.map(mergeOf);
}

interface RuleRow {
  readonly cardinality: "one" | "many";
  readonly inverse_one: boolean;
  readonly authority_first: boolean;
}

export function ruleOf(row: RuleRow) {
  return {
    cardinality: row.cardinality,
    inverseOne: row.inverse_one,
    authorityFirst: row.authority_first,
  };
}

async function readUses(
  sql: ISql,
  tenantId: string,
  groupId: string,
): Promise<readonly PredicateUse[]> {
  const rows = await sql<(RuleRow & { predicate: string; recorded_at: Date })[]>`
    select * from predicate_uses where tenant_id = ${tenantId} and group_id = ${groupId}`;
  return rows.map((row) => ({
    predicate: row.predicate,
    rule: ruleOf(row),
    recordedAt: row.recorded_at,
  }));
}

/** Supersedes and opens versions, at the group's own recorded time. */
export async function writeChanges(
  sql: ISql,
  said: Pick<Sayings, "tenantId" | "groupId">,
  { superseded, opened }: FactChanges<NumberedFact>,
  recordedAt: Date,
): Promise<void> {
  if (superseded.length > 0)
    await sql`
      update fact_versions v
      set tx = tstzrange(lower(v.tx), ${recordedAt}::timestamptz), superseded_by = s.by
      from unnest(
        ${superseded.map(({ fact }) => fact.number)}::bigint[],
        ${superseded.map(({ by }) => by)}::text[]
      ) as s (number, by)
      where v.tenant_id = ${said.tenantId} and v.number = s.number`;
  const still = {
    recordedAt: recordedAt.getTime(),
    supersededAt: Infinity,
    supersededBy: undefined,
  };
  await insertVersions(
    sql,
    said,
    opened.map((fact) => ({ ...fact, ...still })),
  );
}

export async function insertVersions(
  sql: ISql,
  { tenantId, groupId }: Pick<Sayings, "tenantId" | "groupId">,
  versions: readonly FactVersion[],
): Promise<void> {
  if (versions.length === 0) return;
  const time = (ms: number) => (ms === Infinity ? undefined : new Date(ms));
  const rows = versions.map((version) => ({
    ...version,
    valueKey: valueKey(version.value),
    from: time(version.from),
    to: time(version.to),
    recordedAt: time(version.recordedAt),
    supersededAt: time(version.supersededAt),
    confirmedAt: time(version.confirmedAt),
  }));
  await sql`
    insert into fact_versions (
      tenant_id, group_id, fact_id, slot, inverse_slot, subject, predicate, value, value_key, valid,
      tx, claim_ids, reason, superseded_by, disputed, authority, confirmed_at,
      attributes
    )
    select ${tenantId}, ${groupId}, "factId", slot, "inverseSlot", subject, predicate, value,
      "valueKey", tstzrange("from", "to"), tstzrange("recordedAt", "supersededAt"), "claimIds",
      reason, "supersededBy", disputed, authority, "confirmedAt", attributes
    from jsonb_to_recordset(${sql.json(asJson(rows))}) as f (
      "factId" uuid, slot uuid, "inverseSlot" uuid, subject text, predicate text, value jsonb,
      "valueKey" text, "from" timestamptz, "to" timestamptz, "recordedAt" timestamptz,
      "supersededAt" timestamptz, "claimIds" text[], reason text, "supersededBy" text,
      disputed bool, authority text, "confirmedAt" timestamptz, attributes jsonb
    )`;
}
