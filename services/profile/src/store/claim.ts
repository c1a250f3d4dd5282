import { Fault } from "@soldier/kernel/fault";
import type { ISql } from "postgres";
import {
  type Claim,
  expired,
  type NewClaim,
  outcomeOf,
  sameValue,
  type Standing,
  standingAfter,
} from "../domain/claim.ts";
import type { Claimed } from "./profile-store.ts";
import { type ClaimRow, claimOf, rowOf, type StandingRow, standingOf } from "./rows.ts";
import { holding, pending } from "./select.ts";

/**
 * Stores claims in their order, each judged by how its field stands after those before it. Part of
 * a transaction, whose end lets other writers of the customer go on.
 */
export async function claimAll(
  tx: ISql,
  tenantId: string,
  customerId: string,
  claims: readonly NewClaim[],
  now: Date,
): Promise<readonly Claimed[] | undefined> {
  const before = await holdCustomer(tx, tenantId, customerId);
  if (before === undefined) return undefined;
  const known = await byKey(tx, tenantId, customerId, claims);
  const names = [...new Set(claims.map(({ name }) => name))];
  const standings = await standingsOf(tx, tenantId, customerId, names);
  let version = before;
  const stored: Claim[] = [];
  const claimed = claims.map((given): Claimed => {
    const repeated = given.idempotencyKey && known.get(given.idempotencyKey);
    const was = standings.get(given.name);
    if (repeated)
      return { claim: checked(repeated, given), standing: was ?? alone(repeated), repeated: true };
    const current = was && !expired(was.holding, now) ? was : undefined;
    const outcome = outcomeOf(given, current?.holding);
    const claim: Claim = { ...given, outcome, version: ++version, recordedAt: now };
    const standing = standingAfter(claim, current);
    standings.set(given.name, standing);
    if (given.idempotencyKey) known.set(given.idempotencyKey, claim);
    stored.push(claim);
    return { claim, standing, repeated: false };
  });
  if (stored.length > 0) await write(tx, tenantId, customerId, stored, standings, now);
  return claimed;
}

/** Makes other writers of the customer wait for this transaction; the version, undefined if absent. */
export async function holdCustomer(
  tx: ISql,
  tenantId: string,
  customerId: string,
): Promise<number | undefined> {
  const [row] = await tx<{ version: number }[]>`
    select version::float8 as version from customers
    where tenant_id = ${tenantId} and id = ${customerId} for update`;
  return row?.version;
}

function checked(stored: Claim, given: NewClaim): Claim {
  if (stored.name === given.name && sameValue(stored.value, given.value)) return stored;
  throw new Fault("conflict", "the idempotency key came with another update before", {
    reason: "IDEMPOTENCY_KEY_REUSED",
  });
}

function alone(claim: Claim): Standing {
  return { holding: claim, pending: [] };
}

async function byKey(
  tx: ISql,
  tenantId: string,
  customerId: string,
  claims: readonly NewClaim[],
): Promise<Map<string, Claim>> {
  const keys = claims.flatMap(({ idempotencyKey }) => idempotencyKey ?? []);
  if (keys.length === 0) return new Map();
  const rows = await tx<{ key: string; claim: ClaimRow }[]>`
    select h.idempotency_key as key, to_jsonb(h) as claim from field_claims h
    where h.tenant_id = ${tenantId} and h.customer_id = ${customerId}
      and h.idempotency_key = any(${keys})`;
  return new Map(rows.map(({ key, claim }) => [key, claimOf(claim)]));
}

async function standingsOf(
  tx: ISql,
  tenantId: string,
  customerId: string,
  names: readonly string[],
): Promise<Map<string, Standing>> {
  const rows = await tx<(StandingRow & { name: string })[]>`
    select f.name, to_jsonb(h) as holding, ${pending(tx)} as pending
    from fields f ${holding(tx)}
    where f.tenant_id = ${tenantId} and f.customer_id = ${customerId} and f.name = any(${names})`;
  return new Map(rows.map((row) => [row.name, standingOf(row)]));
}

async function write(
  tx: ISql,
  tenantId: string,
  customerId: string,
  claims: readonly Claim[],
  standings: ReadonlyMap<string, Standing>,
  now: Date,
): Promise<void> {
  const names = [...new Set(claims.map(({ name }) => name))];
  const fields = names.flatMap((name) => {
    const standing = standings.get(name);
    if (!standing) return [];
    const { holding: held, pending: waiting } = standing;
    return [{ name, version: held.version, pending: waiting.map(({ version }) => version) }];
  });
  // A value of JSON null comes out of the record set as SQL's null.
  await tx`
    with claimed as (
      insert into field_claims (
        tenant_id, customer_id, name, version, outcome, value, source, confidence, session_id,
        scenario_id, step_id, verified_method, verified_by, verified_at, expires_at, recorded_at,
        recorded_by, idempotency_key
      )
      select ${tenantId}, ${customerId}, name, version, outcome, coalesce(value, 'null'), source,
        confidence, session_id, scenario_id, step_id, verified_method, verified_by, verified_at,
        expires_at, recorded_at, recorded_by, idempotency_key
      from jsonb_to_recordset(${tx.json(claims.map((claim) => ({ ...rowOf(claim) })))}) as claim (
        name text, version bigint, outcome text, value jsonb, source smallint,
        confidence double precision, session_id text, scenario_id text, step_id text,
        verified_method text, verified_by text, verified_at timestamptz, expires_at timestamptz,
        recorded_at timestamptz, recorded_by text, idempotency_key text
      )
    ),
    standing as (
      insert into fields (tenant_id, customer_id, name, version, pending)
      select ${tenantId}, ${customerId}, name, version, pending
      from jsonb_to_recordset(${tx.json(fields)}) as field (
        name text, version bigint, pending bigint[]
      )
      on conflict (tenant_id, customer_id, name) do update
        set version = excluded.version, pending = excluded.pending
    )
    update customers set version = ${claims.at(-1)?.version ?? 0}, updated_at = ${now}
    where tenant_id = ${tenantId} and id = ${customerId}`;
}
