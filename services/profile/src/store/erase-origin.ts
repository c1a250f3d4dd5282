import type { ISql, Sql } from "postgres";
import type { TurnCommitted } from "@soldier/proto/events/v1/events";
import { eraseLetters } from "./erase-letters.ts";
import { holdOne, touch, unmoved } from "./hold.ts";
import type { OriginCounts } from "./profile-store.ts";
import type { Sealing } from "./sealing.ts";
import { believe, claimsOn } from "./versions.ts";

/** Leaves a transaction so that nothing of it stays but what was counted. */
class Counted extends Error {
  readonly counts: OriginCounts;
  constructor(counts: OriginCounts) {
    super("this was only to count");
    this.counts = counts;
  }
}

/** See ProfileStore.eraseOrigin. One customer after the other: cut short, the same call does the rest. */
export async function eraseOrigin(
  sql: Sql,
  tenantId: string,
  { sessionId, dryRun }: { readonly sessionId: string; readonly dryRun: boolean },
  sealing: Sealing,
  now: Date,
): Promise<OriginCounts> {
  const customers = await sql<{ customer_id: string }[]>`
    select customer_id from field_claims
    where tenant_id = ${tenantId} and session_id = ${sessionId}
    union
    select customer_id from assets where tenant_id = ${tenantId} and session_id = ${sessionId}
    order by customer_id`;
  const sum = { fields: 0, claims: 0, assets: 0 };
  for (const { customer_id } of customers) {
    const counts = await unmoved(() =>
      sql.begin(async (tx) => {
        const done = await eraseOne(tx, tenantId, customer_id, sessionId, sealing, now);
        if (dryRun) throw new Counted(done);
        return done;
      }),
    ).catch((error: unknown) => {
      if (error instanceof Counted) return error.counts;
      throw error;
    });
    sum.fields += counts.fields;
    sum.claims += counts.claims;
    sum.assets += counts.assets;
  }
  if (dryRun) return sum;
  const ofSession = (turn: TurnCommitted) => turn.turn?.sessionId === sessionId;
  return { ...sum, ...(await eraseLetters(sql, tenantId, ofSession)) };
}

async function eraseOne(
  tx: ISql,
  tenantId: string,
  customerId: string,
  sessionId: string,
  sealing: Sealing,
  now: Date,
): Promise<OriginCounts> {
  const held = await holdOne(tx, tenantId, customerId, now);
  if (!held) return { fields: 0, claims: 0, assets: 0 };
  const assets = await tx`
    delete from assets
    where tenant_id = ${tenantId} and customer_id = ${customerId} and session_id = ${sessionId}`;
  // Versions that followed from them, at any recorded time, go with them.
  const gone = await tx<{ name: string }[]>`
    delete from field_claims
    where tenant_id = ${tenantId} and customer_id = ${customerId} and session_id = ${sessionId}
    returning name`;
  const names = [...new Set(gone.map(({ name }) => name))];
  if (names.length > 0)
    await believe(tx, tenantId, held, await claimsOn(tx, tenantId, held, sealing, names), names);
  await touch(tx, tenantId, held, customerId);
  return { fields: names.length, claims: gone.length, assets: assets.count };
}
