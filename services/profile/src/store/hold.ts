import { Fault } from "@soldier/kernel/fault";
import type { ISql } from "postgres";
import type { KeyRow } from "./rows.ts";

/** One customer, with all whom it stands for, kept from other writers until the transaction ends. */
export interface Held {
  readonly rootId: string;
  /** With the root. */
  readonly members: readonly Member[];
  /** When what this transaction writes is recorded: later than all before, whatever clocks say. */
  readonly recordedAt: Date;
}

export interface Member extends KeyRow {
  readonly root_id: string | null;
  readonly alias_ids: readonly string[];
  readonly version: number;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly erased_at: Date | null;
}

/** Customers became one, or several, while we waited for them: the work is to begin anew. */
class Moved extends Error {}

const triesMax = 10;

/** Runs a transaction that holds customers, again when they were merged or parted meanwhile. */
export async function unmoved<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; tries < triesMax; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Moved)) throw error;
    }
  }
  throw new Fault("conflict", "the customers are being merged and unmerged all the time");
}

/**
 * Takes the customers that stand for these, with everybody whom those stand for; only those that are
 * there and not erased. Rows are taken in the order of ids, so that no two wait for each other.
 */
export async function hold(
  tx: ISql,
  tenantId: string,
  customerIds: readonly string[],
  now: Date,
  withErased = false,
): Promise<readonly Held[]> {
  const rows = await tx<Member[]>`
    select m.id, m.root_id, m.alias_ids, m.version::float8 as version, m.created_at, m.updated_at,
      m.erased_at, to_jsonb(m.data_key) #>> '{}' as data_key, m.key_wrapped_by
    from customers m
    where m.tenant_id = ${tenantId} and m.id in (
      select unnest(r.id || r.alias_ids)
      from customers c
      join customers r on r.tenant_id = c.tenant_id and r.id = coalesce(c.root_id, c.id)
      where c.tenant_id = ${tenantId} and c.id = any(${customerIds}::uuid[])
    )
    order by m.id
    for update of m`;
  const roots = rows.filter(({ root_id }) => root_id === null);
  const belonging = roots.flatMap(({ id, alias_ids }) => [id, ...alias_ids]);
  if (belonging.length !== rows.length || rows.some(({ id }) => !belonging.includes(id)))
    throw new Moved();
  const recordedAt = new Date(Math.max(now.getTime(), ...rows.map(nextInstant)));
  return roots
    .filter(({ erased_at }) => withErased || erased_at === null)
    .map(({ id, alias_ids }) => ({
      rootId: id,
      members: rows.filter((row) => row.id === id || alias_ids.includes(row.id)),
      recordedAt,
    }));
}

/** The customer that stands for this one; undefined when there is none. */
export async function holdOne(
  tx: ISql,
  tenantId: string,
  customerId: string,
  now: Date,
): Promise<Held | undefined> {
  return (await hold(tx, tenantId, [customerId], now))[0];
}

/** The member with that id, who is one. */
export function memberOf(held: Held, customerId: string): Member {
  const member = held.members.find(({ id }) => id === customerId);
  if (!member) throw new Fault("internal", "a customer does not belong to who stands for it");
  return member;
}

/** Counts a change of a customer, and of the one that stands for it. */
export async function touch(
  tx: ISql,
  tenantId: string,
  { rootId, recordedAt }: Held,
  customerId: string,
  by = 1,
): Promise<void> {
  await tx`
    update customers set version = version + ${by}, updated_at = ${recordedAt}
    where tenant_id = ${tenantId} and id = any(${[rootId, customerId]}::uuid[])`;
}

/** The first change may be as old as the customer; each further one is later than the one before. */
function nextInstant({ version, created_at, updated_at }: Member): number {
  return version > 1 ? updated_at.getTime() + 1 : created_at.getTime();
}
