import type { Event } from "@soldier/events/event";
import { type TurnRecord, TurnRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { sealed } from "@soldier/kernel/seal";
import { messageToKeep } from "@soldier/storage/stored-message";
import { tenantSql } from "@soldier/storage/tenant";
import type { Sql } from "postgres";
import { parted } from "../domain/personal.ts";
import type { CustomerKeys } from "./customer-keys.ts";

/** The durable name under which events are taken, and their effects remembered. */
export const consumer = "audit";

export interface NewTurnRecord {
  readonly event: Pick<Event, "id">;
  readonly record: TurnRecord;
  readonly receivedAt: Date;
  readonly now: Date;
}

/** Keeps those whose event was not had before, in one statement; says which. */
export async function addTurnRecords(
  pool: Sql,
  keys: CustomerKeys,
  tenantId: string,
  records: readonly NewTurnRecord[],
): Promise<readonly boolean[]> {
  const sql = tenantSql(pool, tenantId);
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  // Where a part stands among all bytes: as an array they would be sent letter by letter.
  const placed = (bytes: Uint8Array) => {
    const from = sizeBytes + 1;
    parts.push(bytes);
    sizeBytes += bytes.byteLength;
    return { from, size: bytes.byteLength };
  };
  const rows = [];
  for (const { event, record, receivedAt, now } of records) {
    const { turnId, sessionId, agentId, customerId } = record;
    const { rest, personal } = parted({ ...record, tenantId });
    const key = await keys.forWriting(tenantId, customerId);
    // Of a customer who was forgotten nothing personal is kept: that stays empty.
    const box = key ? sealed(key, personal, `${tenantId} ${turnId}`) : Buffer.alloc(0);
    const plainAt = placed(messageToKeep(TurnRecordSchema, rest));
    const boxAt = placed(box);
    rows.push({
      event_id: event.id,
      received_at: receivedAt,
      turn_id: turnId,
      session_id: sessionId,
      agent_id: agentId,
      customer_id: customerId,
      recorded_at: now,
      plain_from: plainAt.from,
      plain_size: plainAt.size,
      box_from: boxAt.from,
      box_size: boxAt.size,
    });
  }
  // The inbox forgets one day; a record is never written over. All take inbox and chain in the same
  // order, so that none waits for another that waits for it.
  const noted = await sql<{ event_id: string }[]>`
    with given as (
      select * from jsonb_to_recordset(${sql.json(rows)}) as given (
        event_id uuid, received_at timestamptz, turn_id uuid, session_id text, agent_id text,
        customer_id text, recorded_at timestamptz, plain_from int, plain_size int, box_from int,
        box_size int
      )
    ), noted as (
      insert into inbox (consumer, event_id)
      select ${consumer}, event_id from given order by event_id
      on conflict do nothing returning event_id
    ), kept as (
      insert into turn_records (tenant_id, received_at, turn_id, session_id, agent_id,
        customer_id, recorded_at, record, personal)
      select ${tenantId}, received_at, turn_id, session_id, agent_id, customer_id, recorded_at,
        substring(bytes from plain_from for plain_size), substring(bytes from box_from for box_size)
      from given join noted using (event_id), (select ${Buffer.concat(parts)}::bytea as bytes) all_of_it
      on conflict do nothing
    )
    select event_id from noted`;
  const fresh = new Set(noted.map(({ event_id }) => event_id));
  return records.map(({ event }) => fresh.delete(event.id));
}
