import { randomBytes } from "node:crypto";
import { newId } from "@soldier/kernel/ids";
import { everyTenantSql, tenantSql } from "@soldier/storage/tenant";
import type { ISql, Sql } from "postgres";
import { type Counts, type ErasureScope, scopeId } from "../domain/erasure.ts";
import { eraseWithin, inScope, RolledBack } from "./erase-group.ts";
import type { About, Erasure, ErasureStore, GroupErased } from "./erasure-store.ts";

/** Erasures in PostgreSQL, each call as its tenant. */
export function postgresErasureStore(pool: Sql): ErasureStore {
  return {
    async about(tenantId, scope) {
      const sql = tenantSql(pool, tenantId);
      const nothing = { customerIds: [], sessionId: "", turnId: "", role: "" };
      if (scope.kind === "session") return { ...nothing, sessionId: scope.sessionId };
      if (scope.kind === "customer") return { ...nothing, customerIds: [scope.customerId] };
      if (scope.kind !== "episode") return nothing;
      const [row] = await sql<{ session_id: string; turn_id: string; role: string }[]>`
        select session_id, turn_id, role from episodes
        where tenant_id = ${tenantId} and id = ${scope.episodeId}`;
      return row && { ...nothing, sessionId: row.session_id, turnId: row.turn_id, role: row.role };
    },

    begin: (tenantId, scope, about, askedBy, holdMs) =>
      tenantSql(pool, tenantId).begin(async (tx) => {
        // Waits for those who are storing something now; those who come next see the tombstones.
        await tx`select pg_advisory_xact_lock(hashtextextended(${`soldier memory erasure of ${tenantId}`}, 0))`;
        const [there] = await tx<ErasureRow[]>`
          update erasures
          set due_at = clock_timestamp() + ${holdMs} * interval '1 millisecond'
          where tenant_id = ${tenantId} and scope = ${scope.kind} and scope_id = ${scopeId(scope)}
            and finished_at is null
          returning *`;
        if (there) return erasureOf(there);
        await makeKey(tx, tenantId);
        const until = await untilNow(tx, tenantId, scope);
        const [row] = await tx<ErasureRow[]>`
          insert into erasures (
            tenant_id, id, scope, scope_id, until, about, asked_by, asked_at, due_at
          ) values (
            ${tenantId}, ${newId()}, ${scope.kind}, ${scopeId(scope)}, ${until}, ${tx.json({ ...about })},
            ${askedBy}, clock_timestamp(), clock_timestamp() + ${holdMs} * interval '1 millisecond'
          )
          returning *`;
        if (!row) throw new Error("an insert answers with its row");
        const erasure = erasureOf(row);
        await placeTombstones(tx, erasure);
        return erasure;
      }),

    async trial(tenantId, scope, about) {
      const until = await untilNow(tenantSql(pool, tenantId), tenantId, scope);
      return {
        tenantId,
        id: newId(),
        scope,
        about,
        until,
        askedBy: "",
        askedAt: until,
        done: [],
        counts: {},
        probes: 0,
        attempts: 0,
        failed: "",
        finishedAt: undefined,
      };
    },

    async groups(erasure) {
      const { tenantId, scope, about } = erasure;
      const sql = tenantSql(pool, tenantId);
      const whole = scope.kind === "tenant";
      const rows = await sql<{ group_id: string }[]>`
        select group_id from groups g
        where tenant_id = ${tenantId} and (
          ${whole}
          or g.group_id = any(${[...about.customerIds]})
          or exists (
            select from episodes e
            where e.tenant_id = ${tenantId} and e.group_id = g.group_id and ${inScope(sql, erasure)}
          )
          or exists (
            select from claims c
            where c.tenant_id = ${tenantId} and c.group_id = g.group_id and c.episode_id is null
              and c.subject = any(${[...about.customerIds]})
          )
        )
        order by group_id`;
      return rows.map(({ group_id }) => group_id);
    },

    async eraseGroup(erasure, groupId, keep) {
      const sql = tenantSql(pool, erasure.tenantId);
      for (let tries = 1; ; tries++)
        try {
          return await sql.begin(async (tx) => {
            const erased = await eraseWithin(tx, erasure, groupId);
            if (!keep) throw new RolledBack(erased);
            await addCounts(tx, erasure, erased.counts);
            return erased;
          });
        } catch (error) {
          if (error instanceof RolledBack) return error.counted as GroupErased; // thrown right above
          if (!isDeadlock(error) || tries === deadlocksMax) throw error;
        }
    },

    async eraseRest(erasure, keep) {
      const { tenantId, scope } = erasure;
      if (scope.kind !== "tenant") return {};
      const sql = tenantSql(pool, tenantId);
      try {
        return await sql.begin(async (tx) => {
          const predicates = await tx`delete from predicates where tenant_id = ${tenantId}`;
          const counts = { predicates: predicates.count };
          if (!keep) throw new RolledBack(counts);
          return counts;
        });
      } catch (error) {
        if (error instanceof RolledBack) return error.counted as Counts; // thrown right above
        throw error;
      }
    },

    async leftovers(erasure) {
      const { tenantId } = erasure;
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<{ left: number }[]>`
        select (
          (select count(*) from episodes e where e.tenant_id = ${tenantId} and ${inScope(sql, erasure)})
          + (select count(*) from tombstones t join episodes e
              on e.tenant_id = t.tenant_id and t.kind = 'episode'
              and t.digest = digest_of(${tenantId}, 'episode', e.ingest_key)
            where t.tenant_id = ${tenantId} and t.erasure_id = ${erasure.id}
              and ${inScope(sql, erasure)})
          + (select count(*) from fact_versions v
            where v.tenant_id = ${tenantId} and exists (
              select from unnest(v.claim_ids) as c (id)
              where not exists (
                select from claims where tenant_id = ${tenantId} and claims.id = c.id)))
          + (select count(*) from summary_inputs i
            where i.tenant_id = ${tenantId} and (
              (i.episode_id is not null and not exists (
                select from episodes where tenant_id = ${tenantId} and id = i.episode_id))
              or (i.input_summary_id is not null and not exists (
                select from summaries where tenant_id = ${tenantId} and id = i.input_summary_id))))
        )::int as left`;
      return row?.left ?? 0;
    },

    async stepDone({ tenantId, id }, step, counts, probes) {
      const sql = tenantSql(pool, tenantId);
      await sql`
        update erasures
        set done = done || ${step}::text, counts = ${added(sql, counts)}, probes = probes + ${probes}
        where tenant_id = ${tenantId} and id = ${id} and not ${step} = any(done)`;
      return read(sql, tenantId, id);
    },

    async finish({ tenantId, id }) {
      const sql = tenantSql(pool, tenantId);
      await sql`
        update erasures set finished_at = clock_timestamp(), failed = ''
        where tenant_id = ${tenantId} and id = ${id} and finished_at is null`;
      return read(sql, tenantId, id);
    },

    async putOff({ tenantId, id }, reason, delayMs) {
      const sql = tenantSql(pool, tenantId);
      await sql`
        update erasures
        set attempts = attempts + 1, failed = ${reason},
          due_at = clock_timestamp() + ${delayMs} * interval '1 millisecond'
        where tenant_id = ${tenantId} and id = ${id} and finished_at is null`;
    },

    async due(limit, holdMs) {
      const sql = everyTenantSql(pool);
      const rows = await sql<ErasureRow[]>`
        update erasures e set due_at = clock_timestamp() + ${holdMs} * interval '1 millisecond'
        from (
          select tenant_id, id from erasures
          where finished_at is null and due_at <= clock_timestamp()
          order by due_at limit ${limit} for update skip locked
        ) d
        where e.tenant_id = d.tenant_id and e.id = d.id
        returning e.*`;
      return rows.map(erasureOf);
    },

    async covers(tenantId, customerIds, then) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql`
        select from erasures
        where tenant_id = ${tenantId} and scope in ('customer', 'tenant')
          and asked_at > ${then}::timestamptz - interval '1 hour'
          and (scope = 'tenant' or about->'customerIds' @> ${sql.json([...customerIds])})
        limit 1`;
      return row !== undefined;
    },

    async get(tenantId, id) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<ErasureRow[]>`
        select * from erasures where tenant_id = ${tenantId} and id = ${id}`;
      return row && erasureOf(row);
    },

    async list(tenantId, limit, before) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<ErasureRow[]>`
        select * from erasures
        where tenant_id = ${tenantId} ${before === undefined ? sql`` : sql`and id < ${before}::uuid`}
        order by id desc limit ${limit + 1}`;
      const items = rows.slice(0, limit).map(erasureOf);
      return { items, next: rows.length > limit ? items.at(-1)?.id : undefined };
    },
  };
}

/** Writers of several groups may have taken what an erasure needs; one of the two begins anew. */
const deadlocksMax = 5;

function isDeadlock(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "40P01";
}

/** The two blocks of an HMAC's key, so that the database can make digests by itself. */
async function makeKey(tx: ISql, tenantId: string): Promise<void> {
  const key = Buffer.concat([randomBytes(32), Buffer.alloc(32)]);
  const padded = (pad: number) => key.map((byte) => byte ^ pad);
  await tx`
    insert into erasure_keys (tenant_id, inner_pad, outer_pad)
    values (${tenantId}, ${padded(0x36)}, ${padded(0x5c)})
    on conflict do nothing`;
}

/** The latest recorded time there is, which a group's may be ahead of the clock by. */
async function untilNow(sql: ISql, tenantId: string, scope: ErasureScope): Promise<Date> {
  if (scope.kind === "expired") return scope.before;
  const [row] = await sql<{ until: Date }[]>`
    select greatest(
      clock_timestamp(), (select max(recorded_at) from groups where tenant_id = ${tenantId})
    )::timestamptz(3) as until`;
  if (!row) throw new Error("an aggregate answers with a row");
  return row.until;
}

async function placeTombstones(tx: ISql, erasure: Erasure): Promise<void> {
  const { tenantId, id, scope, about, until } = erasure;
  await tx`
    insert into tombstones (tenant_id, kind, digest, erasure_id, erased_at)
    select ${tenantId}, 'episode', digest_of(${tenantId}, 'episode', e.ingest_key), ${id}, ${until}
    from episodes e where e.tenant_id = ${tenantId} and ${inScope(tx, erasure)}
    on conflict do nothing`;
  const names: [string, string][] = [];
  if (scope.kind === "session") names.push(["session", scope.sessionId]);
  if (scope.kind === "tenant") names.push(["tenant", tenantId]);
  for (const customerId of about.customerIds) names.push(["customer", customerId]);
  for (const [kind, name] of names)
    await tx`
      insert into tombstones as t (tenant_id, kind, digest, erasure_id, erased_at)
      values (${tenantId}, ${kind}, digest_of(${tenantId}, ${kind}, ${name}), ${id}, ${until})
      on conflict (tenant_id, kind, digest) do update
        set erased_at = greatest(t.erased_at, excluded.erased_at), erasure_id = excluded.erasure_id`;
}

async function addCounts(tx: ISql, { tenantId, id }: Erasure, counts: Counts): Promise<void> {
  await tx`
    update erasures set counts = ${added(tx, counts)} where tenant_id = ${tenantId} and id = ${id}`;
}

/** The counts of the row with these added. */
function added(sql: ISql, counts: Counts) {
  return sql`(
    select coalesce(jsonb_object_agg(kind, total), '{}') from (
      select kind, sum(count::bigint) as total from (
        select * from jsonb_each_text(counts)
        union all
        select * from jsonb_each_text(${sql.json({ ...counts })})
      ) as each (kind, count)
      group by kind
    ) as totals)`;
}

interface ErasureRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly scope: ErasureScope["kind"];
  readonly scope_id: string;
  readonly until: Date;
  readonly about: About;
  readonly asked_by: string;
  readonly asked_at: Date;
  readonly done: readonly string[];
  readonly counts: Counts;
  readonly probes: number;
  readonly attempts: number;
  readonly failed: string;
  readonly finished_at: Date | null;
}

function scopeOf({ scope, scope_id: id, until }: ErasureRow): ErasureScope {
  switch (scope) {
    case "episode":
      return { kind: scope, episodeId: id };
    case "session":
      return { kind: scope, sessionId: id };
    case "customer":
      return { kind: scope, customerId: id };
    case "expired":
      return { kind: scope, agentId: id, before: until };
    case "tenant":
      return { kind: scope };
  }
}

function erasureOf(row: ErasureRow): Erasure {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    scope: scopeOf(row),
    about: row.about,
    until: row.until,
    askedBy: row.asked_by,
    askedAt: row.asked_at,
    done: row.done,
    counts: row.counts,
    probes: row.probes,
    attempts: row.attempts,
    failed: row.failed,
    finishedAt: row.finished_at ?? undefined,
  };
}

async function read(sql: Sql, tenantId: string, id: string): Promise<Erasure> {
  const [row] = await sql<ErasureRow[]>`
    select * from erasures where tenant_id = ${tenantId} and id = ${id}`;
  if (!row) throw new Error(`erasure ${id} is gone`);
  return erasureOf(row);
}
