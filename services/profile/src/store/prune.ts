import { everyTenantSql, tenantSql } from "@soldier/storage/tenant";
import type { ISql, Sql } from "postgres";
import { holdOne, touch, unmoved } from "./hold.ts";
import type { Sealing } from "./sealing.ts";
import { believe, claimsOn } from "./versions.ts";

/** See ProfileStore.prune. */
export async function pruneClaims(
  pool: Sql,
  sealing: Sealing,
  now: Date,
  customersMax: number,
): Promise<number> {
  const every = everyTenantSql(pool);
  const due = await every<{ tenant_id: string; customer_id: string }[]>`
    (
      select distinct h.tenant_id, h.customer_id from field_claims h
      where h.delete_after <= ${now}
      limit ${customersMax}
    )
    union
    (
      select distinct h.tenant_id, h.customer_id
      from field_definitions d
      join field_claims h on h.tenant_id = d.tenant_id and h.name = d.name
        and h.recorded_at <= ${now}::timestamptz - d.retention_ms * interval '1 millisecond'
      where d.retention_ms is not null
      limit ${customersMax}
    )`;
  let gone = 0;
  for (const { tenant_id, customer_id } of due) {
    const sql = tenantSql(pool, tenant_id);
    gone += await unmoved(() =>
      sql.begin((tx) => pruneCustomer(tx, tenant_id, customer_id, sealing, now)),
    );
  }
  return gone;
}

async function pruneCustomer(
  tx: ISql,
  tenantId: string,
  customerId: string,
  sealing: Sealing,
  now: Date,
): Promise<number> {
  const held = await holdOne(tx, tenantId, customerId, now);
  if (!held) return 0;
  // Versions that followed from them, at any recorded time, go with them.
  const gone = await tx<{ name: string }[]>`
    delete from field_claims h
    where h.tenant_id = ${tenantId} and h.customer_id = ${customerId} and (
      h.delete_after <= ${now}
      or exists (
        select 1 from field_definitions d
        where d.tenant_id = h.tenant_id and d.name = h.name
          and h.recorded_at <= ${now}::timestamptz - d.retention_ms * interval '1 millisecond'
      )
    )
    returning h.name`;
  const names = [...new Set(gone.map(({ name }) => name))];
  if (names.length === 0) return 0;
  await believe(tx, tenantId, held, await claimsOn(tx, tenantId, held, sealing, names), names);
  await touch(tx, tenantId, held, customerId);
  return gone.length;
}
