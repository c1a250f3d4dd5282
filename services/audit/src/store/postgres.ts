import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { eraseLettersOf } from "@soldier/events/dead-letters";
import { notedOnce } from "@soldier/events/inbox";
import { turnCommittedTopic } from "@soldier/events/topics";
import type { TurnCommitted } from "@soldier/proto/events/v1/events";
import { AuditEventSchema } from "@soldier/proto/audit/v1/audit_service";
import { type TurnRecord, TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { readEach } from "@soldier/storage/damaged-rows";
import { messageToKeep, rowDamaged, storedMessage } from "@soldier/storage/stored-message";
import { tenantSql } from "@soldier/storage/tenant";
import { together } from "@soldier/storage/together";
import type { Fragment, Sql } from "postgres";
import { joined } from "../domain/personal.ts";
import { opened } from "@soldier/kernel/seal";
import { addTurnRecords, consumer, type NewTurnRecord } from "./add-turn-records.ts";
import type { AuditStore, Interval, Slice } from "./audit-store.ts";
import { readLinks, readUnchained } from "./chain-rows.ts";
import type { CustomerKeys } from "./customer-keys.ts";

/** Records in PostgreSQL, whose triggers chain them and refuse to change them. */
export function postgresAuditStore(pool: Sql, keys: CustomerKeys): AuditStore {
  // A tenant's records wait for each other in any case, for the end of its chain.
  const add = together((tenantId, records: readonly NewTurnRecord[]) =>
    addTurnRecords(pool, keys, tenantId, records),
  );
  return {
    addTurnRecord: (event, record, receivedAt, now) =>
      add(event.tenantId, { event, record, receivedAt, now }),

    async addAuditEvent(event, audited, now) {
      const { tenantId } = event;
      const sql = tenantSql(pool, tenantId);
      const { resourceKind, resourceId, action, occurredAt } = audited;
      const id = audited.id || event.id;
      const at = occurredAt ? timestampDate(occurredAt) : event.occurredAt;
      const whole = {
        ...audited,
        id,
        tenantId,
        occurredAt: timestampFromDate(at),
        recordedAt: timestampFromDate(now),
      };
      const bytes = messageToKeep(AuditEventSchema, create(AuditEventSchema, whole));
      const noted = await sql`
        with noted as (${notedOnce(sql, consumer, event)}),
        kept as (
          insert into audit_events (tenant_id, occurred_at, id, resource_kind, resource_id, action,
            recorded_at, event)
          select ${tenantId}, ${at}::timestamptz, ${id}::uuid, ${resourceKind}, ${resourceId},
            ${action}, ${now}::timestamptz, ${bytes}::bytea
          from noted
          on conflict do nothing
        )
        select from noted`;
      return noted.count === 1;
    },

    async turnRecord(tenantId, turnId) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<RecordRow[]>`
        select record, personal, customer_id, turn_id from turn_records
        where tenant_id = ${tenantId} and turn_id = ${turnId}`;
      return row && readable(tenantId, row, await keyTo(tenantId, row));
    },

    async turnRecords(tenantId, filter, slice) {
      const sql = tenantSql(pool, tenantId);
      const { sessionId, agentId, customerId } = filter;
      const rows = await sql<(RecordRow & { at: Date })[]>`
        select received_at as at, turn_id, record, personal, customer_id from turn_records
        where tenant_id = ${tenantId}
          ${sessionId ? sql`and session_id = ${sessionId}` : sql``}
          ${agentId ? sql`and agent_id = ${agentId}` : sql``}
          ${customerId ? sql`and customer_id = ${customerId}` : sql``}
          ${within(sql, sql`received_at`, filter)} ${after(sql, sql`(received_at, turn_id)`, slice)}
        order by received_at desc, turn_id desc limit ${slice.rowsMax}`;
      const withKeys = await Promise.all(
        rows.map(async (row) => ({ ...row, key: await keyTo(tenantId, row) })),
      );
      const placeOf = (row: { at: Date; turn_id: string }) => ({ at: row.at, id: row.turn_id });
      const read = (row: (typeof withKeys)[number]) => ({
        item: readable(tenantId, row, row.key),
        place: placeOf(row),
      });
      return readEach(withKeys, read, placeOf, slice.onDamaged);
    },

    async auditEvents(tenantId, filter, slice) {
      const sql = tenantSql(pool, tenantId);
      const { resourceKind, resourceId, action } = filter;
      const rows = await sql<{ at: Date; id: string; event: Uint8Array }[]>`
        select occurred_at as at, id, event from audit_events
        where tenant_id = ${tenantId}
          ${resourceKind ? sql`and resource_kind = ${resourceKind}` : sql``}
          ${resourceId ? sql`and resource_id = ${resourceId}` : sql``}
          ${action ? sql`and action = ${action}` : sql``}
          ${within(sql, sql`occurred_at`, filter)} ${after(sql, sql`(occurred_at, id)`, slice)}
        order by occurred_at desc, id desc limit ${slice.rowsMax}`;
      const read = ({ at, id, event }: (typeof rows)[number]) => ({
        item: storedMessage(AuditEventSchema, event, { table: "audit.audit_events", id }),
        place: { at, id },
      });
      return readEach(rows, read, ({ at, id }) => ({ at, id }), slice.onDamaged);
    },

    async chainPart(tenantId, { from, to }) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<{ first: string | null; last: string | null }[]>`
        select min(seq) as first, max(seq) as last from chain
        where tenant_id = ${tenantId}
          ${from ? sql`and at >= ${from}` : sql``} ${to ? sql`and at < ${to}` : sql``}`;
      if (!row?.first || !row.last) return undefined;
      return { first: BigInt(row.first), last: BigInt(row.last) };
    },

    links: (tenantId, from, rowsMax) =>
      readLinks(tenantSql(pool, tenantId), tenantId, from, rowsMax),

    async chainEnd(tenantId) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<{ seq: string; hash: Uint8Array }[]>`
        select seq, hash from chain_heads where tenant_id = ${tenantId}`;
      return row && { seq: BigInt(row.seq), hash: row.hash };
    },

    unchained: (tenantId, interval) => readUnchained(tenantSql(pool, tenantId), tenantId, interval),

    async droppedBefore() {
      const [row] = await pool<{ dropped_before: Date }[]>`select dropped_before from retention`;
      return row?.dropped_before;
    },

    async readLink(tenantId, { kind, id, content }) {
      if (!content) return undefined;
      if (kind === "event")
        return storedMessage(AuditEventSchema, content.record, { table: "audit.audit_events", id });
      const kept = { table: "audit.turn_records", id };
      const { customerId } = storedMessage(TurnRecordSchema, content.record, kept);
      const row = { ...content, customer_id: customerId, turn_id: id };
      return readable(tenantId, row, await keyTo(tenantId, row));
    },

    async forget(tenantId, customerId, dryRun = false) {
      const sql = tenantSql(pool, tenantId);
      const destroyed = dryRun
        ? (await keys.forReading(tenantId, customerId)) !== undefined
        : await keys.destroy(tenantId, customerId);
      const covers = (turn: TurnCommitted) => turn.customerId === customerId;
      const erased = dryRun
        ? undefined
        : await eraseLettersOf(sql, turnCommittedTopic, tenantId, covers);
      const [row] = await sql<{ records: number }[]>`
        select count(*)::int as records from turn_records
        where tenant_id = ${tenantId} and customer_id = ${customerId} and personal is not null`;
      const unreadableLetters = erased?.unreadable ?? 0;
      return { records: row?.records ?? 0, destroyed, unreadableLetters };
    },

    async forgetAll(tenantId, dryRun) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<{ records: number }[]>`
        select count(*)::int as records from turn_records r
        where tenant_id = ${tenantId} and personal is not null and exists (
          select from customer_keys k
          where k.tenant_id = r.tenant_id and k.customer_id = r.customer_id and k.key is not null)`;
      const held = await keys.customers(tenantId);
      const records = row?.records ?? 0;
      if (dryRun) return { records, keys: held.length, unreadableLetters: 0 };
      for (const customerId of held) await keys.destroy(tenantId, customerId);
      const { unreadable } = await eraseLettersOf(sql, turnCommittedTopic, tenantId, () => true);
      return { records, keys: held.length, unreadableLetters: unreadable };
    },
  };

  /** To what is personal in a record; undefined when nothing is, or nobody can read it any more. */
  async function keyTo(tenantId: string, { personal, customer_id: customerId }: RecordRow) {
    return personal?.length ? await keys.forReading(tenantId, customerId) : undefined;
  }

  /** With what is personal, as long as there is the key to it. */
  function readable(
    tenantId: string,
    { record, personal, turn_id: turnId }: RecordRow,
    key: Uint8Array | undefined,
  ): TurnRecord {
    const kept = { table: "audit.turn_records", id: turnId };
    const rest = storedMessage(TurnRecordSchema, record, kept);
    if (personal === null) return rest;
    if (key) return joined(record, unsealed(key, personal, tenantId, turnId));
    rest.personalErased = true;
    return rest;
  }
}

function unsealed(key: Uint8Array, box: Uint8Array, tenantId: string, turnId: string): Uint8Array {
  try {
    return opened(key, box, `${tenantId} ${turnId}`);
  } catch (error) {
    const kept = { table: "audit.turn_records", id: turnId };
    throw rowDamaged(kept, "can't be decrypted by its customer's key", error);
  }
}

interface RecordRow {
  readonly turn_id: string;
  readonly customer_id: string;
  readonly record: Uint8Array;
  /** Null: the record is whole as it is. */
  readonly personal: Uint8Array | null;
}

function within(sql: Sql, column: Fragment, { from, to }: Interval): Fragment {
  return sql`
    ${from ? sql`and ${column} >= ${from}` : sql``}
    ${to ? sql`and ${column} < ${to}` : sql``}`;
}

function after(sql: Sql, columns: Fragment, slice: Slice): Fragment {
  const place = slice.after;
  return place ? sql`and ${columns} < (${place.at}::timestamptz, ${place.id}::uuid)` : sql``;
}
