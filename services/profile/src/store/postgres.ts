import { once } from "@soldier/events/inbox";
import { addToOutbox } from "@soldier/events/outbox";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import type { Channel } from "@soldier/proto/common/v1/resource";
import type { CustomerProfile } from "@soldier/proto/profile/v1/profile";
import { tenantSql } from "@soldier/storage/tenant";
import type { Sql } from "postgres";
import { claimAll, holdCustomer } from "./claim.ts";
import type { Claimed, NewConsent, ProfileStore } from "./profile-store.ts";
import {
  type ClaimRow,
  claimOf,
  consentOf,
  type ConsentRow,
  type ProfileRow,
  profileOf,
} from "./rows.ts";
import { consentsOf, profileColumns } from "./select.ts";

/** The durable consumer whose inbox says which events were had. */
export const consumerName = "profile";

/** Somebody else may make, and a third give away, an identity between our looking and making. */
const triesMax = 5;

export function postgresProfileStore(pool: Sql): ProfileStore {
  return {
    async get(tenantId, customerId, now) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<ProfileRow[]>`
        select ${profileColumns(sql, now)} from customers c
        where c.tenant_id = ${tenantId} and c.id = ${customerId}`;
      return row && profileOf(row);
    },

    async getOrCreate(tenantId, channel, externalId, now) {
      const sql = tenantSql(pool, tenantId);
      let created = false;
      for (let tries = 0; tries < triesMax; tries++) {
        const profile = await find(sql, tenantId, channel, externalId, now);
        if (profile) return { profile, created };
        created = await make(sql, tenantId, channel, externalId, now);
      }
      throw new Fault("conflict", "the identity is being given from one customer to another");
    },

    async list(tenantId, limit, after, now) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<ProfileRow[]>`
        select ${profileColumns(sql, now)} from customers c
        where c.tenant_id = ${tenantId} and (${after ?? null}::uuid is null or c.id < ${after ?? null})
        order by c.id desc
        limit ${limit + 1}`;
      const page = rows.slice(0, limit);
      return {
        items: page.map(profileOf),
        next: rows.length > limit ? page.at(-1)?.id : undefined,
      };
    },

    async history(tenantId, customerId, name, limit, after) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<{ claim: ClaimRow }[]>`
        select to_jsonb(h) as claim from field_claims h
        where h.tenant_id = ${tenantId} and h.customer_id = ${customerId} and h.name = ${name}
          and h.outcome = 'applied'
          and (${after ?? null}::bigint is null or h.version < ${after ?? null})
        order by h.version desc
        limit ${limit + 1}`;
      const page = rows.slice(0, limit).map(({ claim }) => claimOf(claim));
      const last = page.at(-1);
      return { items: page, next: rows.length > limit && last ? String(last.version) : undefined };
    },

    async claim(tenantId, customerId, claim, now, announce) {
      return tenantSql(pool, tenantId).begin(async (tx) => {
        const [claimed] = (await claimAll(tx, tenantId, customerId, [claim], now)) ?? [];
        if (claimed && !claimed.repeated) await addToOutbox(tx, announce(claimed));
        return claimed;
      });
    },

    async claimOnce(event, tenantId, customerId, claims, now) {
      let claimed: readonly Claimed[] = [];
      await once(tenantSql(pool, tenantId), consumerName, event, async (tx) => {
        claimed = (await claimAll(tx, tenantId, customerId, claims, now)) ?? [];
      });
      return claimed;
    },

    async link(tenantId, customerId, { channel, externalId }, now, announce) {
      return tenantSql(pool, tenantId).begin(async (tx) => {
        if ((await holdCustomer(tx, tenantId, customerId)) === undefined) return "absent";
        const linked = await tx`
          with linked as (
            insert into identities (tenant_id, channel, external_id, customer_id, linked_at)
            values (${tenantId}, ${channel}, ${externalId}, ${customerId}, ${now})
            on conflict (tenant_id, channel, external_id) where unlinked_at is null do nothing
            returning customer_id
          )
          update customers c set version = c.version + 1, updated_at = ${now}
          from linked where c.tenant_id = ${tenantId} and c.id = linked.customer_id`;
        if (linked.count === 1) {
          await addToOutbox(tx, announce());
          return "linked";
        }
        const mine = await tx`
          select 1 from identities
          where tenant_id = ${tenantId} and channel = ${channel} and external_id = ${externalId}
            and unlinked_at is null and customer_id = ${customerId}`;
        return mine.count === 1 ? "there" : "taken";
      });
    },

    async consent(tenantId, customerId, consent, now, announce) {
      return tenantSql(pool, tenantId).begin(async (tx) => {
        const version = await holdCustomer(tx, tenantId, customerId);
        if (version === undefined) return undefined;
        if (await addConsent(tx, tenantId, customerId, version + 1, consent, now))
          await addToOutbox(tx, announce());
        const rows = await tx<{ consent: ConsentRow }[]>`
          select to_jsonb(s) as consent
          from (
            select s.* from customers c cross join lateral (${consentsOf(tx, now)}) s
            where c.tenant_id = ${tenantId} and c.id = ${customerId}
          ) s
          order by s.purpose`;
        return rows.map((row) => consentOf(row.consent));
      });
    },
  };
}

async function find(
  sql: Sql,
  tenantId: string,
  channel: Channel,
  externalId: string,
  now: Date,
): Promise<CustomerProfile | undefined> {
  const [row] = await sql<ProfileRow[]>`
    select ${profileColumns(sql, now)}
    from identities found
    join customers c on c.tenant_id = found.tenant_id and c.id = found.customer_id
    where found.tenant_id = ${tenantId} and found.channel = ${channel}
      and found.external_id = ${externalId} and found.unlinked_at is null`;
  return row && profileOf(row);
}

/** Makes a customer for the identity; false when the identity is somebody's by now. */
async function make(
  sql: Sql,
  tenantId: string,
  channel: Channel,
  externalId: string,
  now: Date,
): Promise<boolean> {
  const made = await sql`
    with claimed as (
      insert into identities (tenant_id, channel, external_id, customer_id, linked_at)
      values (${tenantId}, ${channel}, ${externalId}, ${newId()}, ${now})
      on conflict (tenant_id, channel, external_id) where unlinked_at is null do nothing
      returning customer_id
    )
    insert into customers (tenant_id, id, version, created_at, updated_at)
    select ${tenantId}, customer_id, 1, ${now}, ${now} from claimed`;
  return made.count === 1;
}

async function addConsent(
  tx: Parameters<typeof holdCustomer>[0],
  tenantId: string,
  customerId: string,
  version: number,
  { purpose, granted, validFrom, evidence, recordedBy }: NewConsent,
  now: Date,
): Promise<boolean> {
  const added = await tx`
    with added as (
      insert into consents (
        tenant_id, customer_id, purpose, version, granted, valid_from, recorded_at, recorded_by,
        evidence
      )
      select ${tenantId}, ${customerId}, ${purpose}, ${version}, ${granted}, ${validFrom}, ${now},
        ${recordedBy}, ${evidence}
      where not exists (
        select 1 from consents
        where tenant_id = ${tenantId} and customer_id = ${customerId} and purpose = ${purpose}
          and granted = ${granted} and valid_from = ${validFrom} and evidence = ${evidence}
      )
      returning version
    )
    update customers c set version = added.version, updated_at = ${now}
    from added where c.tenant_id = ${tenantId} and c.id = ${customerId}`;
  return added.count === 1;
}
