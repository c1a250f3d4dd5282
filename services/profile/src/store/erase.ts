import { newId } from "@soldier/kernel/ids";
import type { ISql } from "postgres";
import { hold } from "./hold.ts";
import type { Erasure, ErasureCounts, NewErasure } from "./profile-store.ts";

/** See ProfileStore.erase. Part of a transaction. */
export async function eraseCustomer(
  tx: ISql,
  tenantId: string,
  { customerId, erasedBy, dryRun }: NewErasure,
  now: Date,
): Promise<Erasure | undefined> {
  const withErased = true;
  const [held] = await hold(tx, tenantId, [customerId], now, withErased);
  if (!held) return undefined;
  const customerIds = held.members.map(({ id }) => id);
  const before = await certificateOf(tx, tenantId, customerIds);
  if (before) return { ...before, counts: nothing, repeated: true };
  const counts = await count(tx, tenantId, customerIds);
  if (dryRun) return { customerIds, counts, certificate: undefined, repeated: false };
  const { recordedAt } = held;
  await remove(tx, tenantId, customerIds);
  await tx`
    update customers set erased_at = ${recordedAt}, updated_at = ${recordedAt}, data_key = null,
      key_wrapped_by = '', rebuild = false
    where tenant_id = ${tenantId} and id = any(${customerIds}::uuid[])`;
  const id = newId();
  await tx`
    insert into erasures (tenant_id, id, customer_ids, erased_at, erased_by, counts)
    values (
      ${tenantId}, ${id}, ${customerIds}::uuid[], ${recordedAt}, ${erasedBy}, ${tx.json({ ...counts })}
    )`;
  return { customerIds, counts, certificate: { id, erasedAt: recordedAt }, repeated: false };
}

const nothing: ErasureCounts = {
  customers: 0,
  fields: 0,
  claims: 0,
  identities: 0,
  consents: 0,
  assets: 0,
  keys: 0,
};

async function certificateOf(
  tx: ISql,
  tenantId: string,
  customerIds: readonly string[],
): Promise<Pick<Erasure, "customerIds" | "certificate"> | undefined> {
  const [row] = await tx<{ id: string; customer_ids: string[]; erased_at: Date }[]>`
    select id, customer_ids, erased_at from erasures
    where tenant_id = ${tenantId} and customer_ids @> ${[...customerIds]}::uuid[]`;
  if (!row) return undefined;
  return {
    customerIds: row.customer_ids,
    certificate: { id: row.id, erasedAt: row.erased_at },
  };
}

async function count(
  tx: ISql,
  tenantId: string,
  customerIds: readonly string[],
): Promise<ErasureCounts> {
  const of = tx`tenant_id = ${tenantId} and customer_id = any(${[...customerIds]}::uuid[])`;
  const [row] = await tx<ErasureCounts[]>`
    select ${customerIds.length}::int as customers,
      (select count(distinct name)::int from field_claims where ${of}) as fields,
      (select count(*)::int from field_claims where ${of}) as claims,
      (select count(*)::int from identities where ${of} and superseded_at is null) as identities,
      (select count(*)::int from consents where ${of}) as consents,
      (select count(*)::int from assets where ${of}) as assets,
      (
        select count(data_key)::int from customers
        where tenant_id = ${tenantId} and id = any(${[...customerIds]}::uuid[])
      ) as keys`;
  return row ?? nothing;
}

/** Of claims, whoever's beliefs they are in: those go with them. */
async function remove(tx: ISql, tenantId: string, customerIds: readonly string[]): Promise<void> {
  const of = tx`tenant_id = ${tenantId} and customer_id = any(${[...customerIds]}::uuid[])`;
  await tx`delete from field_versions where ${of}`;
  await tx`delete from fields where ${of}`;
  await tx`delete from field_claims where ${of}`;
  await tx`delete from identities where ${of}`;
  await tx`delete from consents where ${of}`;
  await tx`delete from assets where ${of}`;
  await tx`
    update merges set evidence = ''
    where tenant_id = ${tenantId}
      and (from_id = any(${[...customerIds]}::uuid[]) or into_id = any(${[...customerIds]}::uuid[]))`;
}
