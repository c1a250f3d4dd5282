import type { ISql } from "postgres";
import { type Held, memberOf, touch } from "./hold.ts";
import type { NewConsent } from "./profile-store.ts";

/** Adds a word on a purpose, unless it is there; whether it was added. Part of a transaction. */
export async function addConsent(
  tx: ISql,
  tenantId: string,
  held: Held,
  customerId: string,
  { purpose, granted, validFrom, evidence, recordedBy }: NewConsent,
): Promise<boolean> {
  const version = memberOf(held, customerId).version + 1;
  const { recordedAt } = held;
  const added = await tx`
    insert into consents (
      tenant_id, customer_id, purpose, version, granted, valid_from, recorded_at, recorded_by,
      evidence
    )
    select ${tenantId}, ${customerId}, ${purpose}, ${version}, ${granted},
      ${validFrom ?? recordedAt}, ${recordedAt}, ${recordedBy}, ${evidence}
    where ${validFrom ?? null}::timestamptz is null or not exists (
      select 1 from consents
      where tenant_id = ${tenantId} and customer_id = ${customerId} and purpose = ${purpose}
        and granted = ${granted} and valid_from = ${validFrom ?? null} and evidence = ${evidence}
    )`;
  if (added.count === 0) return false;
  await touch(tx, tenantId, held, customerId);
  return true;
}
