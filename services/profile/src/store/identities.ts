import { newId } from "@soldier/kernel/ids";
import type { Channel } from "@soldier/proto/common/v1/resource";
import type { ISql, Sql } from "postgres";
import { hold, touch } from "./hold.ts";

/** A customer's name on a channel. */
export interface Identity {
  readonly channel: Channel;
  readonly externalId: string;
}

/** Makes a customer for the identity; false when the identity is somebody's by now. */
export async function makeCustomer(
  sql: Sql,
  tenantId: string,
  identity: Identity,
  now: Date,
): Promise<boolean> {
  const { channel, externalId } = identity;
  const made = await sql`
    with claimed as (
      insert into identities (tenant_id, channel, external_id, customer_id, linked_at)
      values (
        ${tenantId}, ${channel}, ${externalId}, ${newId()},
        ${freeSince(sql, tenantId, identity, now)}
      )
      on conflict do nothing
      returning customer_id
    )
    insert into customers (tenant_id, id, version, created_at, updated_at)
    select ${tenantId}, customer_id, 1, ${now}, ${now} from claimed`;
  return made.count === 1;
}

/** See ProfileStore.link. Part of a transaction. */
export async function linkIdentity(
  tx: ISql,
  tenantId: string,
  customerId: string,
  identity: Identity,
  move: boolean,
  now: Date,
): Promise<"linked" | "there" | "taken" | "absent"> {
  const owner = await ownerOf(tx, tenantId, identity);
  const all = await hold(tx, tenantId, [customerId, ...(owner ? [owner] : [])], now);
  const held = all.find(({ members }) => members.some(({ id }) => id === customerId));
  if (!held) return "absent";
  const holder = await ownerOf(tx, tenantId, identity);
  if (holder && held.members.some(({ id }) => id === holder)) return "there";
  if (holder) {
    const from = all.find(({ members }) => members.some(({ id }) => id === holder));
    if (!move || !from) return "taken"; // when it was given away meanwhile, too
    await end(tx, tenantId, identity, held.recordedAt);
    await touch(tx, tenantId, from, holder);
  }
  const { channel, externalId } = identity;
  const linked = await tx`
    insert into identities (tenant_id, channel, external_id, customer_id, linked_at, recorded_at)
    values (
      ${tenantId}, ${channel}, ${externalId}, ${customerId},
      ${freeSince(tx, tenantId, identity, held.recordedAt)}, ${held.recordedAt}
    )
    on conflict do nothing`;
  if (linked.count === 0) return "taken";
  await touch(tx, tenantId, held, customerId);
  return "linked";
}

/** See ProfileStore.unlink. Part of a transaction. */
export async function unlinkIdentity(
  tx: ISql,
  tenantId: string,
  customerId: string,
  identity: Identity,
  now: Date,
): Promise<"unlinked" | "not-linked" | "absent"> {
  const [held] = await hold(tx, tenantId, [customerId], now);
  if (!held) return "absent";
  const holder = await ownerOf(tx, tenantId, identity);
  if (!holder || !held.members.some(({ id }) => id === holder)) return "not-linked";
  await end(tx, tenantId, identity, held.recordedAt);
  await touch(tx, tenantId, held, holder);
  return "unlinked";
}

async function ownerOf(
  tx: ISql,
  tenantId: string,
  { channel, externalId }: Identity,
): Promise<string | undefined> {
  const [row] = await tx<{ customer_id: string }[]>`
    select customer_id from identities
    where tenant_id = ${tenantId} and channel = ${channel} and external_id = ${externalId}
      and unlinked_at is null and superseded_at is null`;
  return row?.customer_id;
}

/** From here on it is nobody's; that it was somebody's without end was believed until now. */
async function end(tx: ISql, tenantId: string, identity: Identity, at: Date): Promise<void> {
  const { channel, externalId } = identity;
  await tx`
    with believed as (
      update identities
      set unlinked_at = 'infinity',
        superseded_at = greatest(${at}, coalesce(recorded_at, linked_at))
      where tenant_id = ${tenantId} and channel = ${channel} and external_id = ${externalId}
        and unlinked_at is null and superseded_at is null
      returning customer_id, linked_at, superseded_at
    )
    insert into identities (
      tenant_id, channel, external_id, customer_id, linked_at, unlinked_at, recorded_at
    )
    select ${tenantId}, ${channel}, ${externalId}, customer_id, linked_at,
      greatest(${at}, linked_at), superseded_at
    from believed`;
}

/** Not before it stopped being another's: clocks of processes differ. */
function freeSince(sql: ISql, tenantId: string, { channel, externalId }: Identity, now: Date) {
  return sql`greatest(${now}, (
    select max(unlinked_at) from identities
    where tenant_id = ${tenantId} and channel = ${channel} and external_id = ${externalId}
      and superseded_at is null
  ))`;
}
