import type { ISql, Sql } from "postgres";
import type { Claim } from "../domain/claim.ts";
import { type Span, timelineOf } from "../domain/timeline.ts";
import { type Held, holdOne, unmoved } from "./hold.ts";
import { type ClaimRow, claimOf, opener } from "./rows.ts";
import type { Sealing } from "./sealing.ts";

interface VersionRow {
  readonly number: number;
  readonly name: string;
  readonly claim_id: string;
  readonly disputed: boolean;
  readonly valid_from: Date;
  readonly valid_to: Date | null;
}

/** All claims on the fields of those names; on all fields when none are given. */
export async function claimsOn(
  tx: ISql,
  tenantId: string,
  { members }: Held,
  sealing: Sealing,
  names?: readonly string[],
): Promise<readonly Claim[]> {
  const open = opener(tenantId, members, sealing);
  const rows = await tx<{ claim: ClaimRow }[]>`
    select to_jsonb(h) as claim from field_claims h
    where h.tenant_id = ${tenantId} and h.customer_id = any(${members.map(({ id }) => id)}::uuid[])
      and ${names ? tx`h.name = any(${[...names]})` : tx`true`}`;
  return rows.map(({ claim }) => claimOf(claim, open));
}

/**
 * Makes the versions believed of these fields, or of all, be what follows from the claims. What was
 * believed before stays known as that.
 */
export async function believe(
  tx: ISql,
  tenantId: string,
  { rootId, recordedAt }: Pick<Held, "rootId" | "recordedAt">,
  claims: readonly Claim[],
  names?: readonly string[],
): Promise<void> {
  const believed = await tx<VersionRow[]>`
    select f.number::float8 as number, f.name, f.claim_id, f.disputed, lower(f.valid) as valid_from,
      upper(f.valid) as valid_to
    from field_versions f
    where f.tenant_id = ${tenantId} and f.customer_id = ${rootId} and upper_inf(f.tx)
      and ${names ? tx`f.name = any(${[...names]})` : tx`true`}`;
  const spans = [...Map.groupBy(claims, ({ name }) => name).values()].flatMap(timelineOf);
  const wanted = new Map(spans.map((span) => [keyOfSpan(span), span]));
  const gone = believed.filter((row) => !wanted.delete(keyOfRow(row))).map(({ number }) => number);
  if (gone.length > 0) {
    // What was believed for no time at all never was.
    await tx`
      delete from field_versions
      where tenant_id = ${tenantId} and number = any(${gone}::bigint[]) and lower(tx) >= ${recordedAt}`;
    await tx`
      update field_versions set tx = tstzrange(lower(tx), ${recordedAt})
      where tenant_id = ${tenantId} and number = any(${gone}::bigint[])`;
  }
  if (wanted.size === 0) return;
  const fresh = [...wanted.values()].map(({ claim, disputed, from, to }) => ({
    name: claim.name,
    claim_id: claim.id,
    disputed,
    valid_from: from.toISOString(),
    valid_to: to?.toISOString() ?? null,
  }));
  await tx`
    insert into field_versions (tenant_id, customer_id, name, claim_id, disputed, valid, tx)
    select ${tenantId}, ${rootId}, name, claim_id, disputed, tstzrange(valid_from, valid_to),
      tstzrange(${recordedAt}, null)
    from jsonb_to_recordset(${tx.json(fresh)}) as version (
      name text, claim_id uuid, disputed boolean, valid_from timestamptz, valid_to timestamptz
    )`;
}

/** Makes all that is believed of a customer follow from the claims; that changes nothing when it does. */
export async function rebuild(
  pool: Sql,
  tenantId: string,
  customerId: string,
  sealing: Sealing,
  now: Date,
): Promise<void> {
  await unmoved(() =>
    pool.begin(async (tx) => {
      const held = await holdOne(tx, tenantId, customerId, now);
      if (!held) return;
      await believe(tx, tenantId, held, await claimsOn(tx, tenantId, held, sealing));
      await tx`
        update customers set rebuild = false, updated_at = ${held.recordedAt}
        where tenant_id = ${tenantId} and id = any(${held.members.map(({ id }) => id)}::uuid[])`;
    }),
  );
}

function keyOfSpan({ claim, disputed, from, to }: Span): string {
  return JSON.stringify([claim.id, disputed, from.getTime(), to?.getTime() ?? null]);
}

function keyOfRow({ claim_id, disputed, valid_from, valid_to }: VersionRow): string {
  return JSON.stringify([claim_id, disputed, valid_from.getTime(), valid_to?.getTime() ?? null]);
}
