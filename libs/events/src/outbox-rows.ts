import type { ISql, Sql } from "postgres";
import type { Erased, Erasing, Receipt } from "./bus.ts";
import type { Event } from "./event.ts";

/** An event in the outbox, claimed by this relay. */
export interface OutboxRow {
  /** Its place; a 64-bit number as text. */
  readonly seq: string;
  /** Attempts that failed. */
  readonly attempts: number;
  readonly event: Event;
}

/** A row that was published, and where to, when it is stored anywhere. */
export interface PublishedRow {
  readonly seq: string;
  readonly receipt: Receipt | undefined;
}

interface StoredRow {
  readonly seq: string;
  readonly attempts: number;
  readonly id: string;
  readonly tenant_id: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly traceparent: string | null;
  readonly occurred_at: Date;
}

/**
 * Takes up to `rowsMax` rows that are due, oldest first, for `claimMs`: other relays leave them alone
 * for so long. Marks those of `done`, which were claimed before and are published, at the same time.
 * In one statement and not in a transaction around the publishing, which would hold a
 * connection and keep the rows' old versions from being cleaned up for as long as consumers take.
 */
export async function claim(
  sql: Sql,
  rowsMax: number,
  claimMs: number,
  done: readonly PublishedRow[] = [],
): Promise<readonly OutboxRow[]> {
  // A claim that has run out meanwhile must not be claimed here: a row is updated once.
  const rows = await sql<StoredRow[]>`
    with done as (${marking(sql, done)}),
    due as materialized (
      select seq from outbox
      where published_at is null and next_attempt_at <= now()
        and seq <> all(${done.map(({ seq }) => seq)}::bigint[])
      order by seq limit ${rowsMax}
      for update skip locked
    )
    update outbox set next_attempt_at = now() + ${claimMs}::float8 * interval '1 millisecond'
    from due where outbox.seq = due.seq
    returning outbox.seq, attempts, id, tenant_id, topic, payload, traceparent, occurred_at`;
  return rows.map(toRow).toSorted((a, b) => Number(a.seq) - Number(b.seq));
}

/** Prolongs claims. */
export async function renew(sql: Sql, seqs: readonly string[], claimMs: number): Promise<void> {
  await sql`
    update outbox set next_attempt_at = now() + ${claimMs}::float8 * interval '1 millisecond'
    where seq = any(${[...seqs]}::bigint[]) and published_at is null`;
}

export async function markPublished(sql: Sql, rows: readonly PublishedRow[]): Promise<void> {
  await marking(sql, rows);
}

function marking(sql: Sql, rows: readonly PublishedRow[]) {
  return sql`
    update outbox set published_at = now(), last_error = null,
      receipt_log = done.log, receipt_position = done.position
    from unnest(
      ${rows.map(({ seq }) => seq)}::bigint[],
      ${rows.map(({ receipt }) => receipt?.log ?? null)}::text[],
      ${rows.map(({ receipt }) => receipt?.position ?? null)}::bigint[]
    ) as done (seq, log, position)
    where outbox.seq = done.seq`;
}

/** A published row with what its receipt says. */
export interface Receipted {
  readonly seq: string;
  readonly eventId: string;
  readonly receipt: Receipt;
}

/** Up to `rowsMax` published rows with a receipt: the latest first, before a place, or the oldest first, from one on. */
export async function readReceipts(
  sql: Sql,
  rowsMax: number,
  place: { readonly before: string | undefined } | { readonly from: string },
): Promise<readonly Receipted[]> {
  const part =
    "from" in place
      ? sql`seq >= ${place.from}::bigint order by seq`
      : sql`seq < ${place.before ?? seqMax}::bigint order by seq desc`;
  const rows = await sql<{ seq: string; id: string; log: string; position: string }[]>`
    select seq, id, receipt_log as log, receipt_position as position from outbox
    where published_at is not null and receipt_log is not null and ${part}
    limit ${rowsMax}`;
  return rows.map(({ seq, id, log, position }) => ({
    seq,
    eventId: id,
    receipt: { log, position: Number(position) },
  }));
}

const seqMax = "9223372036854775807";

/** Makes published rows wait for a relay again; but not one that another relay has published anew since it was read. */
export async function unpublish(sql: Sql, rows: readonly Receipted[]): Promise<void> {
  await sql`
    update outbox set published_at = null, next_attempt_at = now(),
      receipt_log = null, receipt_position = null
    from unnest(
      ${rows.map(({ seq }) => seq)}::bigint[],
      ${rows.map(({ receipt }) => receipt.log)}::text[],
      ${rows.map(({ receipt }) => receipt.position)}::bigint[]
    ) as lost (seq, log, position)
    where outbox.seq = lost.seq and published_at is not null
      and receipt_log = lost.log and receipt_position = lost.position`;
}

/** Ends the claim; the row is due again after the delay. */
export async function postpone(
  sql: Sql,
  seqs: readonly string[],
  delayMs: number,
  reason: string,
): Promise<void> {
  await sql`
    update outbox set attempts = attempts + 1, last_error = ${reason},
      next_attempt_at = now() + ${delayMs}::float8 * interval '1 millisecond'
    where seq = any(${[...seqs]}::bigint[]) and published_at is null`;
}

/** Gives claimed rows back to whoever comes next. */
export async function release(sql: Sql, seqs: readonly string[]): Promise<void> {
  await sql`
    update outbox set next_attempt_at = now()
    where seq = any(${[...seqs]}::bigint[]) and published_at is null`;
}

/** Removes up to `rowsMax` rows that were published longer ago than that; returns how many. */
export async function prunePublished(sql: Sql, keepMs: number, rowsMax: number): Promise<number> {
  const gone = await sql`
    delete from outbox where ctid = any(array(
      select ctid from outbox
      where published_at < now() - ${keepMs}::float8 * interval '1 millisecond'
      limit ${rowsMax}
    ))`;
  return gone.count;
}

/**
 * Removes a tenant's published events that match, see EventBus.erase: they are kept only for a broker
 * that has lost them. What is not published yet stays, and is counted as pending.
 */
export async function eraseFromOutbox(
  sql: ISql,
  { topic, tenantId, matches }: Erasing,
): Promise<Erased> {
  let [erased, pending] = [0, 0];
  for (let after = "-1"; ;) {
    const rows = await sql<(StoredRow & { published: boolean })[]>`
      select *, published_at is not null as published from outbox
      where tenant_id = ${tenantId} and topic = ${topic} and seq > ${after}::bigint
      order by seq limit ${eraseMax}`;
    const found = rows.filter((row) => matches(toRow(row).event));
    const seqs = found.filter(({ published }) => published).map(({ seq }) => seq);
    if (seqs.length > 0)
      erased += (
        await sql`
          delete from outbox where tenant_id = ${tenantId} and seq = any(${seqs}::bigint[])`
      ).count;
    pending += found.length - seqs.length;
    const last = rows.at(-1);
    if (!last || rows.length < eraseMax) return { erased, pending };
    after = last.seq;
  }
}

const eraseMax = 500;

/** How many rows wait, and for how long the oldest has, in seconds. */
export async function readBacklog(sql: Sql): Promise<{ count: number; oldestSeconds: number }> {
  const [row] = await sql<{ count: number; oldest: number }[]>`
    select count(*)::int as count,
      coalesce(extract(epoch from now() - min(occurred_at)), 0)::float8 as oldest
    from outbox where published_at is null`;
  return { count: row?.count ?? 0, oldestSeconds: Math.max(0, row?.oldest ?? 0) };
}

function toRow(row: StoredRow): OutboxRow {
  return {
    seq: row.seq,
    attempts: row.attempts,
    event: {
      id: row.id,
      topic: row.topic,
      tenantId: row.tenant_id,
      payload: row.payload,
      ...(row.traceparent !== null && { traceparent: row.traceparent }),
      occurredAt: row.occurred_at,
    },
  };
}
