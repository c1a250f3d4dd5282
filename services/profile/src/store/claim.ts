import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import type { ISql } from "postgres";
import { type Claim, type NewClaim, sameValue } from "../domain/claim.ts";
import { outcomeAmong, standingAt, timelineOf } from "../domain/timeline.ts";
import { type Held, holdOne, type Member, memberOf, touch } from "./hold.ts";
import type { Claimed } from "./profile-store.ts";
import { rowOf } from "./rows.ts";
import { hexOf, type Sealing } from "./sealing.ts";
import { believe, claimsOn } from "./versions.ts";

/**
 * Stores claims, each judged among all on its field. Part of a transaction, whose end lets other
 * writers of the customer go on.
 */
export async function claimAll(
  tx: ISql,
  tenantId: string,
  customerId: string,
  given: readonly NewClaim[],
  sealing: Sealing,
  now: Date,
): Promise<readonly Claimed[] | undefined> {
  const held = await holdOne(tx, tenantId, customerId, now);
  if (!held) return undefined;
  const of = await withKey(tx, tenantId, held, customerId, given, sealing);
  const names = [...new Set(given.map(({ name }) => name))];
  const keyed = await namesByKey(tx, tenantId, customerId, given);
  const before = await claimsOn(tx, tenantId, of, sealing, [...new Set([...names, ...keyed])]);
  const known = new Map(
    before.flatMap((claim) =>
      claim.customerId === customerId && claim.idempotencyKey
        ? [[claim.idempotencyKey, claim] as const]
        : [],
    ),
  );
  let { version } = memberOf(of, customerId);
  const all = [...before];
  const stored: Claim[] = [];
  const came = given.map((one) => {
    const repeated = one.idempotencyKey && known.get(one.idempotencyKey);
    if (repeated) return { claim: checked(repeated, one), repeated: true };
    const unjudged = claimOf(one, customerId, ++version, of.recordedAt);
    const onField = [...all.filter(({ name }) => name === one.name), unjudged];
    const claim = { ...unjudged, outcome: outcomeAmong(onField, unjudged) };
    all.push(claim);
    stored.push(claim);
    if (one.idempotencyKey) known.set(one.idempotencyKey, claim);
    return { claim, repeated: false };
  });
  if (stored.length > 0) {
    await insertClaims(tx, tenantId, memberOf(of, customerId), stored, sealing);
    const changed = all.filter(({ name }) => names.includes(name));
    await believe(tx, tenantId, of, changed, names);
    await touch(tx, tenantId, of, customerId, stored.length);
  }
  const at = stored.length > 0 || of.recordedAt > now ? of.recordedAt : now;
  return came.map(({ claim, repeated }) => {
    const onField = all.filter(({ name }) => name === claim.name);
    return { claim, repeated, standing: standingAt(timelineOf(onField), at) };
  });
}

function claimOf(given: NewClaim, customerId: string, version: number, recordedAt: Date): Claim {
  const { retentionMs, ...claim } = given;
  const validFrom = given.validFrom ?? recordedAt;
  if (given.validTo && given.validTo <= validFrom)
    throw new Fault("invalid", "the field cannot be updated", {
      reason: "FIELD_INVALID",
      fields: [
        { field: "valid_to", description: "must be after valid_from, which is now if unset" },
      ],
    });
  return {
    ...claim,
    id: newId(),
    customerId,
    version,
    outcome: "applied",
    recordedAt,
    validFrom,
    deleteAfter:
      retentionMs === undefined ? undefined : new Date(recordedAt.getTime() + retentionMs),
  };
}

function checked(stored: Claim, given: NewClaim): Claim {
  if (stored.name === given.name && sameValue(stored.value, given.value)) return stored;
  throw new Fault("conflict", "the idempotency key came with another update before", {
    reason: "IDEMPOTENCY_KEY_REUSED",
  });
}

/** The fields that keys were used for before, which may be others. */
async function namesByKey(
  tx: ISql,
  tenantId: string,
  customerId: string,
  claims: readonly NewClaim[],
): Promise<readonly string[]> {
  const keys = claims.flatMap(({ idempotencyKey }) => idempotencyKey ?? []);
  if (keys.length === 0) return [];
  const rows = await tx<{ name: string }[]>`
    select distinct name from field_claims
    where tenant_id = ${tenantId} and customer_id = ${customerId}
      and idempotency_key = any(${keys})`;
  return rows.map(({ name }) => name);
}

/** The same, with a data key made for the customer when a claim needs one. */
async function withKey(
  tx: ISql,
  tenantId: string,
  held: Held,
  customerId: string,
  claims: readonly NewClaim[],
  sealing: Sealing,
): Promise<Held> {
  const member = memberOf(held, customerId);
  if (member.data_key !== null || !claims.some(({ encrypted }) => encrypted)) return held;
  const { dataKey, wrappedBy } = sealing.makeKey({ tenantId, customerId });
  await tx`
    update customers set data_key = ${dataKey}, key_wrapped_by = ${wrappedBy}
    where tenant_id = ${tenantId} and id = ${customerId}`;
  const keyed: Member = { ...member, data_key: hexOf(dataKey), key_wrapped_by: wrappedBy };
  return { ...held, members: held.members.map((one) => (one === member ? keyed : one)) };
}

async function insertClaims(
  tx: ISql,
  tenantId: string,
  member: Member,
  claims: readonly Claim[],
  sealing: Sealing,
): Promise<void> {
  const owner = { tenantId, customerId: member.id };
  const rows = claims.map((claim) => {
    const box = claim.encrypted && sealing.seal(owner, member, claim.name, claim.value);
    return { ...rowOf(claim, box ? hexOf(box) : null) };
  });
  // A value of JSON null comes out of the record set as SQL's null.
  await tx`
    insert into field_claims (
      tenant_id, customer_id, id, name, version, outcome, value, sealed, source, confidence,
      session_id, scenario_id, step_id, verified_method, verified_by, verified_at, valid_from,
      valid_to, expires_at, delete_after, recorded_at, recorded_by, idempotency_key
    )
    select ${tenantId}, ${member.id}, id, name, version, outcome, coalesce(value, 'null'), sealed,
      source, confidence, session_id, scenario_id, step_id, verified_method, verified_by,
      verified_at, valid_from, valid_to, expires_at, delete_after, recorded_at, recorded_by,
      idempotency_key
    from jsonb_to_recordset(${tx.json(rows)}) as claim (
      id uuid, name text, version bigint, outcome text, value jsonb, sealed bytea, source smallint,
      confidence double precision, session_id text, scenario_id text, step_id text,
      verified_method text, verified_by text, verified_at timestamptz, valid_from timestamptz,
      valid_to timestamptz, expires_at timestamptz, delete_after timestamptz,
      recorded_at timestamptz, recorded_by text, idempotency_key text
    )`;
}
