import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { notedOnce } from "@soldier/events/inbox";
import { AuditEventSchema } from "@soldier/proto/audit/v1/audit_service";
import { TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import type { Fragment, Sql } from "postgres";
import type { AuditStore, Interval, Slice } from "./audit-store.ts";

/** The durable name under which events are taken, and their effects remembered. */
export const consumer = "audit";

/** Records in PostgreSQL, whose triggers refuse to change them. */
export function postgresAuditStore(sql: Sql): AuditStore {
  return {
    async addTurnRecord(event, record, receivedAt, now) {
      const { tenantId } = event;
      const { turnId, sessionId, agentId, customerId } = record;
      const bytes = toBinary(TurnRecordSchema, create(TurnRecordSchema, { ...record, tenantId }));
      // The inbox forgets one day; a record is never written over.
      const noted = await sql`
        with noted as (${notedOnce(sql, consumer, event)}),
        kept as (
          insert into turn_records (tenant_id, received_at, turn_id, session_id, agent_id,
            customer_id, recorded_at, record)
          select ${tenantId}, ${receivedAt}::timestamptz, ${turnId}::uuid, ${sessionId},
            ${agentId}, ${customerId}, ${now}::timestamptz, ${bytes}::bytea
          from noted
          on conflict do nothing
        )
        select from noted`;
      return noted.count === 1;
    },

    async addAuditEvent(event, audited, now) {
      const { tenantId } = event;
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
      const bytes = toBinary(AuditEventSchema, create(AuditEventSchema, whole));
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
      const [row] = await sql<{ record: Uint8Array }[]>`
        select record from turn_records where tenant_id = ${tenantId} and turn_id = ${turnId}`;
      return row && fromBinary(TurnRecordSchema, row.record);
    },

    async turnRecords(tenantId, filter, slice) {
      const { sessionId, agentId, customerId } = filter;
      const rows = await sql<{ at: Date; id: string; record: Uint8Array }[]>`
        select received_at as at, turn_id as id, record from turn_records
        where tenant_id = ${tenantId}
          ${sessionId ? sql`and session_id = ${sessionId}` : sql``}
          ${agentId ? sql`and agent_id = ${agentId}` : sql``}
          ${customerId ? sql`and customer_id = ${customerId}` : sql``}
          ${within(sql, sql`received_at`, filter)} ${after(sql, sql`(received_at, turn_id)`, slice)}
        order by received_at desc, turn_id desc limit ${slice.rowsMax}`;
      return rows.map(({ at, id, record }) => ({
        item: fromBinary(TurnRecordSchema, record),
        place: { at, id },
      }));
    },

    async auditEvents(tenantId, filter, slice) {
      const { resourceKind, resourceId, action } = filter;
      const rows = await sql<{ at: Date; id: string; event: Uint8Array }[]>`
        select occurred_at as at, id, event from audit_events
        where tenant_id = ${tenantId}
          ${resourceKind ? sql`and resource_kind = ${resourceKind}` : sql``}
          ${resourceId ? sql`and resource_id = ${resourceId}` : sql``}
          ${action ? sql`and action = ${action}` : sql``}
          ${within(sql, sql`occurred_at`, filter)} ${after(sql, sql`(occurred_at, id)`, slice)}
        order by occurred_at desc, id desc limit ${slice.rowsMax}`;
      return rows.map(({ at, id, event }) => ({
        item: fromBinary(AuditEventSchema, event),
        place: { at, id },
      }));
    },
  };
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
