import { createHash } from "node:crypto";
import type { FieldViolation } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import type { ISql, Sql } from "postgres";
import { beginning, type Claim, ending, type NewClaim } from "../domain/claim.ts";
import { type ClosingLimits, endsTooMany, factsEnded } from "../domain/closings.ts";
import { asJson, claimsById, insertClaims } from "./claim-rows.ts";
import { readSayings } from "./fact-rows.ts";
import type { AddedClaims, ParkedClaims } from "./fact-store.ts";
import { lockGroup, noteRules, recompute, scopeOf } from "./group-changes.ts";

export interface Batch {
  readonly tenantId: string;
  readonly groupId: string;
  readonly claims: readonly NewClaim[];
  readonly limits: ClosingLimits | undefined;
}

/** Leaves the transaction so that nothing of it stays. */
class RolledBack extends Error {
  readonly outcome: Exclude<Tried, { kind: "stored" }>;
  constructor(outcome: Exclude<Tried, { kind: "stored" }>) {
    super("the claims are not stored");
    this.outcome = outcome;
  }
}

export type Tried =
  | Exclude<AddedClaims, { kind: "parked" }>
  | { readonly kind: "too-many"; readonly ended: number; readonly held: number };

/** See FactStore.addClaims. */
export async function addClaims(sql: Sql, batch: Batch): Promise<AddedClaims> {
  const tried = await inOne(sql, (tx) => addWithin(tx, batch));
  if (tried.kind !== "too-many") return tried;
  return { kind: "parked", parked: await park(sql, batch, tried.ended, tried.held) };
}

/** The work in a transaction, undone when what came of it says so. */
export async function inOne(sql: Sql, work: (tx: ISql) => Promise<Tried>): Promise<Tried> {
  try {
    return await sql.begin(async (tx) => {
      const tried = await work(tx);
      if (tried.kind !== "stored") throw new RolledBack(tried);
      return tried;
    });
  } catch (error) {
    if (error instanceof RolledBack) return error.outcome;
    throw error;
  }
}

export async function addWithin(tx: ISql, batch: Batch): Promise<Tried> {
  const { tenantId, groupId, limits } = batch;
  const recordedAt = await lockGroup(tx, tenantId, groupId);
  const ids = batch.claims.map(({ id }) => id);
  const targets = batch.claims.flatMap(({ target }) => target ?? []);
  const there = await claimsById(tx, tenantId, [...ids, ...targets]);
  const fresh = batch.claims.filter(({ id }, i) => !there.has(id) && ids.indexOf(id) === i);
  const completed = await complete(tx, batch, fresh, there, recordedAt);
  if (completed.fields.length > 0) return { kind: "refused", fields: completed.fields };
  const { claims } = completed;
  const all = new Map([...there, ...claims.map((claim) => [claim.id, claim] as const)]);
  const stored = ids.flatMap((id) => all.get(id) ?? []);
  if (claims.length === 0) return { kind: "stored", claims: stored };

  await insertClaims(tx, tenantId, claims);
  const nothing = { predicates: [], subjects: [], wholePredicates: [] };
  const known = await readSayings(tx, tenantId, groupId, nothing); // merges and rules alone
  await noteRules(
    tx,
    known,
    claims.map(({ predicate }) => predicate),
    recordedAt,
  );
  const { uses } = await readSayings(tx, tenantId, groupId, nothing);
  const held = limits ? await factsHeld(tx, tenantId, groupId) : 0;
  const scope = scopeOf(claims, known.merges, uses);
  const { before, after } = await recompute(tx, tenantId, groupId, scope, recordedAt);
  const ended = factsEnded(before, after);
  if (limits && endsTooMany(ended, held, limits)) return { kind: "too-many", ended, held };
  return { kind: "stored", claims: stored };
}

/** The claims with their times, and what their targets say; or what they name that is not there. */
async function complete(
  tx: ISql,
  { tenantId, groupId, claims: batch }: Batch,
  fresh: readonly NewClaim[],
  there: ReadonlyMap<string, Claim>,
  recordedAt: Date,
): Promise<{ readonly claims: readonly Claim[]; readonly fields: readonly FieldViolation[] }> {
  const fields: FieldViolation[] = [];
  const episodes = await episodeTimes(tx, tenantId, groupId, fresh);
  const inBatch = new Map(fresh.map((claim) => [claim.id, claim]));
  const bad = (claim: NewClaim, field: string, description: string) =>
    fields.push({ field: `claims[${batch.indexOf(claim)}].${field}`, description });

  for (const claim of batch)
    if ((there.get(claim.id)?.groupId ?? groupId) !== groupId)
      bad(claim, "id", "is the id of a claim of another group");
  const claims = fresh.map((claim): Claim => {
    const saidAt = claim.episodeId === undefined ? recordedAt : episodes.get(claim.episodeId);
    if (!saidAt) bad(claim, "episode_id", "must be an episode of the group");
    const timed = { ...claim, groupId, recordedAt, saidAt: saidAt ?? recordedAt };
    if (claim.kind === "assert" && saidAt && beginning(timed) >= ending(timed))
      bad(claim, "valid_to", "must be after valid_from, or after what was said when that is unset");
    if (claim.target === undefined) return timed;
    const stored = there.get(claim.target);
    const target = stored?.groupId === groupId ? stored : inBatch.get(claim.target);
    if (!target) {
      bad(claim, "target_claim_id", "must be a claim of the group");
      return timed;
    }
    const fits = claim.kind === "end" ? target.kind === "assert" : target.kind !== "retract";
    if (!fits) bad(claim, "target_claim_id", "must be a claim that can be ended or taken back");
    const { subject, predicate, value } = target;
    return { ...timed, subject, predicate, value };
  });
  return { claims, fields };
}

async function episodeTimes(
  tx: ISql,
  tenantId: string,
  groupId: string,
  claims: readonly NewClaim[],
): Promise<ReadonlyMap<string, Date>> {
  const ids = [...new Set(claims.flatMap(({ episodeId }) => episodeId ?? []))];
  if (ids.length === 0) return new Map();
  const rows = await tx<{ id: string; occurred_at: Date }[]>`
    select id, occurred_at from episodes
    where tenant_id = ${tenantId} and group_id = ${groupId} and id = any(${ids}::uuid[])`;
  return new Map(rows.map((row) => [row.id, row.occurred_at]));
}

async function factsHeld(tx: ISql, tenantId: string, groupId: string): Promise<number> {
  const [row] = await tx<{ held: number }[]>`
    select count(distinct fact_id)::int as held from fact_versions
    where tenant_id = ${tenantId} and group_id = ${groupId}
      and upper_inf(tx) and upper_inf(valid) and not disputed`;
  return row?.held ?? 0;
}

/** Keeps claims for a person; the same ones once. */
export async function park(
  sql: ISql,
  { tenantId, groupId, claims }: Batch,
  ended: number,
  held: number,
  why: "closes_many" | "ambiguous" = "closes_many",
): Promise<ParkedClaims> {
  const kept = asJson(claims);
  const content = createHash("sha256")
    .update(JSON.stringify([groupId, kept]))
    .digest("hex");
  const [row] = await sql<{ id: string; parked_at: Date }[]>`
    insert into parked_claims as p (
      tenant_id, id, group_id, content, claims, facts_ended, facts_held, why
    ) values (
      ${tenantId}, ${newId()}, ${groupId}, ${content}, ${sql.json(kept)}, ${ended}, ${held}, ${why}
    )
    on conflict (tenant_id, content) do update
      set facts_ended = excluded.facts_ended, facts_held = excluded.facts_held
    returning id, parked_at`;
  if (!row) throw new Error("an upsert answers with its row");
  return {
    id: row.id,
    groupId,
    claims,
    factsEnded: ended,
    factsHeld: held,
    why,
    parkedAt: row.parked_at,
  };
}
