import { Fault } from "@soldier/kernel/fault";
import type { Clock } from "@soldier/kernel/clock";
import { LRUCache } from "lru-cache";
import { tenantSql } from "@soldier/storage/tenant";
import type { Sql } from "postgres";
import { type MasterKey, newKey, opened, sealed } from "@soldier/kernel/seal";

/** The keys that what is personal in records is encrypted under, one for each customer. */
export interface CustomerKeys {
  /** Made when absent; undefined when the customer was forgotten. */
  forWriting(tenantId: string, customerId: string): Promise<Uint8Array | undefined>;
  /** Undefined when there is none, or none any more. */
  forReading(tenantId: string, customerId: string): Promise<Uint8Array | undefined>;
  /** Customers of the tenant whose keys there are. */
  customers(tenantId: string): Promise<readonly string[]>;
  /** Destroys the key, also one that is yet to be made. Resolves to false when there was none to destroy. */
  destroy(tenantId: string, customerId: string): Promise<boolean>;
}

const keptMax = 10_000;
/** After a key was destroyed by another process, this one may know it for so long. */
const keptMs = 30_000;

interface KeyRow {
  readonly key: Uint8Array | null;
  readonly wrapped_by: string;
}

export function postgresCustomerKeys(
  pool: Sql,
  master: MasterKey | undefined,
  clock: Clock,
): CustomerKeys {
  const kept = new LRUCache<string, Uint8Array>({
    max: keptMax,
    ttl: keptMs,
    perf: { now: () => clock.monotonicMs() },
  });
  const nameOf = (tenantId: string, customerId: string) => JSON.stringify([tenantId, customerId]);

  function unwrapped(row: KeyRow | undefined, name: string): Uint8Array | undefined {
    if (!row?.key) return undefined;
    if (row.wrapped_by !== (master?.name ?? ""))
      throw new Fault(
        "precondition",
        "records are encrypted under another key of the deployment: set [audit] encryption_key to what it was",
        { reason: "ENCRYPTION_KEY_WRONG" },
      );
    // A copy: the driver's is a piece of all that came with it, which would be kept as well.
    const key = new Uint8Array(master ? opened(master.key, row.key, name) : row.key);
    kept.set(name, key);
    return key;
  }

  async function read(tenantId: string, customerId: string): Promise<KeyRow | undefined> {
    const sql = tenantSql(pool, tenantId);
    const [row] = await sql<KeyRow[]>`
      select key, wrapped_by from customer_keys
      where tenant_id = ${tenantId} and customer_id = ${customerId}`;
    return row;
  }

  return {
    async forWriting(tenantId, customerId) {
      const sql = tenantSql(pool, tenantId);
      const name = nameOf(tenantId, customerId);
      const known = kept.get(name);
      if (known) return known;
      const found = await read(tenantId, customerId);
      if (found) return unwrapped(found, name);
      const key = newKey();
      const wrapped = master ? sealed(master.key, key, name) : key;
      const made = await sql`
        insert into customer_keys (tenant_id, customer_id, key, wrapped_by)
        values (${tenantId}, ${customerId}, ${wrapped}, ${master?.name ?? ""})
        on conflict do nothing`;
      // Another process may have been quicker: its key counts.
      if (made.count === 0) return unwrapped(await read(tenantId, customerId), name);
      kept.set(name, key);
      return key;
    },

    async forReading(tenantId, customerId) {
      const name = nameOf(tenantId, customerId);
      return kept.get(name) ?? unwrapped(await read(tenantId, customerId), name);
    },

    async customers(tenantId) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<{ customer_id: string }[]>`
        select customer_id from customer_keys where tenant_id = ${tenantId} and key is not null`;
      return rows.map(({ customer_id }) => customer_id);
    },

    async destroy(tenantId, customerId) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<{ had: boolean }[]>`
        with before as (
          select key is not null as had from customer_keys
          where tenant_id = ${tenantId} and customer_id = ${customerId}
        )
        insert into customer_keys (tenant_id, customer_id, key, wrapped_by, destroyed_at)
        values (${tenantId}, ${customerId}, null, '', now())
        on conflict (tenant_id, customer_id) do update set key = null, destroyed_at = now()
        returning coalesce((select had from before), false) as had`;
      kept.delete(nameOf(tenantId, customerId));
      return row?.had ?? false;
    },
  };
}
