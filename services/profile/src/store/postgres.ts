import { once } from "@soldier/events/inbox";
import { addToOutbox } from "@soldier/events/outbox";
import { Fault } from "@soldier/kernel/fault";
import type { MasterKey } from "@soldier/kernel/seal";
import { type DamagedRow, readEach } from "@soldier/storage/damaged-rows";
import { tenantSql } from "@soldier/storage/tenant";
import type { Sql, TransactionSql } from "postgres";
import { addAsset, listAssets } from "./assets.ts";
import { claimAll } from "./claim.ts";
import { addConsent } from "./consents.ts";
import { eraseCustomer } from "./erase.ts";
import { eraseLetters } from "./erase-letters.ts";
import { eraseOrigin } from "./erase-origin.ts";
import { holdOne, unmoved } from "./hold.ts";
import { linkIdentity, makeCustomer, unlinkIdentity } from "./identities.ts";
import { mergeCustomers, unmergeCustomers } from "./merge.ts";
import type { AsOf, Claimed, ProfileStore } from "./profile-store.ts";
import { pruneClaims } from "./prune.ts";
import { type KeyRow, opener, type ProfileRow, profileOf, spanOf, type SpanRow } from "./rows.ts";
import { sealingUnder } from "./sealing.ts";
import {
  type Standing,
  believed,
  keysOf,
  ofClaim,
  profileColumns,
  spanJson,
  standingFor,
  standingThen,
} from "./select.ts";
import { rebuild } from "./versions.ts";

/** The durable consumer whose inbox says which events were had. */
export const consumerName = "profile";

/** Somebody else may make, and a third give away, an identity between our looking and making. */
const triesMax = 5;

const current: AsOf = { valid: undefined, recorded: undefined };

/** The master key wraps those that fields are encrypted under; undefined leaves them as they are. */
export function postgresProfileStore(pool: Sql, master: MasterKey | undefined): ProfileStore {
  const sealing = sealingUnder(master);

  /** Profiles as they were read, or, when versions are not up to date with the claims, once they are. */
  async function upToDate<Row extends Pick<ProfileRow, "id" | "rebuild">>(
    tenantId: string,
    now: Date,
    read: () => Promise<readonly Row[]>,
  ): Promise<readonly Row[]> {
    const rows = await read();
    const stale = rows.filter((row) => row.rebuild);
    if (stale.length === 0) return rows;
    for (const { id } of stale)
      await rebuild(tenantSql(pool, tenantId), tenantId, id, sealing, now);
    return read();
  }

  /** A transaction that holds customers. */
  function inOne<T>(tenantId: string, work: (tx: TransactionSql) => Promise<T>): Promise<T> {
    // The driver's type unwraps arrays of promises; none are given here.
    return unmoved(() => tenantSql(pool, tenantId).begin(work) as Promise<T>);
  }

  const self: ProfileStore = {
    async get(tenantId, customerId, now, asOf = current) {
      const sql = tenantSql(pool, tenantId);
      const read = async () => {
        const { from, aliases } = await standing(sql, tenantId, customerId, asOf.recorded);
        return sql<ProfileRow[]>`select ${profileColumns(sql, asOf, now, aliases)} from ${from}`;
      };
      const [row] = await upToDate(tenantId, now, read);
      return row && profileOf(row, sealing);
    },

    async getOrCreate(tenantId, channel, externalId, now) {
      const sql = tenantSql(pool, tenantId);
      const find = () => sql<ProfileRow[]>`
        select ${profileColumns(sql, current, now)}
        from identities found
        join customers c on c.tenant_id = found.tenant_id and c.id = found.customer_id
        join customers r on r.tenant_id = c.tenant_id and r.id = coalesce(c.root_id, c.id)
        where found.tenant_id = ${tenantId} and found.channel = ${channel}
          and found.external_id = ${externalId} and found.unlinked_at is null
          and found.superseded_at is null`;
      let created = false;
      for (let tries = 0; tries < triesMax; tries++) {
        const [row] = await upToDate(tenantId, now, find);
        if (row) return { profile: profileOf(row, sealing), created };
        created = await makeCustomer(sql, tenantId, { channel, externalId }, now);
      }
      throw new Fault("conflict", "the identity is being given from one customer to another");
    },

    async list(tenantId, limit, after, now) {
      const sql = tenantSql(pool, tenantId);
      const rows = await upToDate(
        tenantId,
        now,
        () => sql<ProfileRow[]>`
          select ${profileColumns(sql, current, now)} from customers r
          where r.tenant_id = ${tenantId} and r.root_id is null and r.erased_at is null
            and (${after ?? null}::uuid is null or r.id < ${after ?? null})
          order by r.id desc
          limit ${limit + 1}`,
      );
      const page = rows.slice(0, limit);
      const damaged: DamagedRow[] = [];
      const read = (row: ProfileRow) => profileOf(row, sealing);
      return {
        items: readEach(
          page,
          read,
          ({ id }) => id,
          ({ row }) => damaged.push(row),
        ),
        damaged,
        next: rows.length > limit ? page.at(-1)?.id : undefined,
      };
    },

    async history(tenantId, customerId, name, limit, after, now, recorded) {
      const sql = tenantSql(pool, tenantId);
      const read = async () => {
        const { from, aliases } = await standing(sql, tenantId, customerId, recorded);
        return sql<HistoryRow[]>`
          select r.id, r.rebuild, ${keysOf(sql, sql`any(r.id || ${aliases})`)} as keys, (
            select coalesce(jsonb_agg(page.span), '[]') from (
              select ${spanJson(sql)} as span
              from field_versions f ${ofClaim(sql)}
              where f.tenant_id = r.tenant_id and f.customer_id = r.id and f.name = ${name}
                and not f.disputed and ${believed(sql, recorded)} and lower(f.valid) <= greatest(${now}, r.updated_at)
                and (${after ?? null}::float8 is null or lower(f.valid) < to_timestamp(${after ?? null}::float8 / 1000))
              order by lower(f.valid) desc
              limit ${limit + 1}
            ) page
          ) as spans
          from ${from}`;
      };
      const [row] = await upToDate(tenantId, now, read);
      if (!row) return { items: [], next: undefined };
      const open = opener(tenantId, row.keys, sealing);
      const page = row.spans.slice(0, limit).map((span) => spanOf(span, open));
      const last = page.at(-1);
      return {
        items: page,
        next: row.spans.length > limit && last ? String(last.from.getTime()) : undefined,
      };
    },

    async claim(tenantId, customerId, claim, now, announce) {
      return inOne(tenantId, async (tx) => {
        const all = await claimAll(tx, tenantId, customerId, [claim], sealing, now);
        const [claimed] = all ?? [];
        if (claimed && !claimed.repeated) await addToOutbox(tx, announce(claimed));
        return claimed;
      });
    },

    async claimOnce(event, tenantId, customerId, claims, now) {
      return unmoved(async () => {
        let claimed: readonly Claimed[] = [];
        await once(tenantSql(pool, tenantId), consumerName, event, async (tx) => {
          claimed = (await claimAll(tx, tenantId, customerId, claims, sealing, now)) ?? [];
        });
        return claimed;
      });
    },

    async link(tenantId, customerId, identity, now, announce, move = false) {
      return inOne(tenantId, async (tx) => {
        const outcome = await linkIdentity(tx, tenantId, customerId, identity, move, now);
        if (outcome === "linked") await addToOutbox(tx, announce());
        return outcome;
      });
    },

    async unlink(tenantId, customerId, identity, now, announce) {
      return inOne(tenantId, async (tx) => {
        const outcome = await unlinkIdentity(tx, tenantId, customerId, identity, now);
        if (outcome === "unlinked") await addToOutbox(tx, announce());
        return outcome;
      });
    },

    async consent(tenantId, customerId, consent, now, announce) {
      const there = await inOne(tenantId, async (tx) => {
        const held = await holdOne(tx, tenantId, customerId, now);
        if (!held) return false;
        if (await addConsent(tx, tenantId, held, customerId, consent))
          await addToOutbox(tx, announce());
        return true;
      });
      return there ? (await self.get(tenantId, customerId, now))?.consents : undefined;
    },

    async merge(tenantId, merge, now, announce) {
      return inOne(tenantId, async (tx) => {
        const merged = await mergeCustomers(tx, tenantId, merge, sealing, now);
        if (merged.kind === "merged" && !merged.repeated) await addToOutbox(tx, announce(merged));
        return merged;
      });
    },

    async unmerge(tenantId, mergeId, unmergedBy, now, announce) {
      return inOne(tenantId, async (tx) => {
        const done = await unmergeCustomers(tx, tenantId, mergeId, unmergedBy, sealing, now);
        if (done.kind === "unmerged" && !done.repeated) await addToOutbox(tx, announce(done));
        return done;
      });
    },

    async addAsset(tenantId, customerId, asset, now, announce) {
      return inOne(tenantId, async (tx) => {
        const added = await addAsset(tx, tenantId, customerId, asset, now);
        if (added && !added.repeated) await addToOutbox(tx, announce(added.asset));
        return added?.asset;
      });
    },

    async assets(tenantId, customerId, limit, after) {
      return listAssets(tenantSql(pool, tenantId), tenantId, customerId, limit, after);
    },

    async erase(tenantId, erasure, now, announce) {
      return inOne(tenantId, async (tx) => {
        const erased = await eraseCustomer(tx, tenantId, erasure, now);
        if (!erased || erasure.dryRun) return erased;
        const { customerIds } = erased;
        // Also of one that was erased before: letters may have come since.
        const letters = await eraseLetters(tx, tenantId, (turn) =>
          customerIds.includes(turn.customerId),
        );
        const done = { ...erased, counts: { ...erased.counts, ...letters } };
        if (erased.certificate && !erased.repeated) await addToOutbox(tx, announce(done));
        return done;
      });
    },

    eraseOrigin: (tenantId, origin, now) =>
      eraseOrigin(tenantSql(pool, tenantId), tenantId, origin, sealing, now),

    prune: (now, customersMax) => pruneClaims(pool, sealing, now, customersMax),

    rebuild: (tenantId, customerId, now) =>
      rebuild(tenantSql(pool, tenantId), tenantId, customerId, sealing, now),
  };
  return self;
}

async function standing(
  sql: Sql,
  tenantId: string,
  customerId: string,
  recorded: Date | undefined,
): Promise<Standing> {
  return recorded
    ? standingThen(sql, tenantId, customerId, recorded)
    : standingFor(sql, tenantId, customerId);
}

interface HistoryRow {
  readonly id: string;
  readonly rebuild: boolean;
  readonly keys: readonly KeyRow[];
  readonly spans: readonly SpanRow[];
}
