import type { ISql } from "postgres";
import type { Event } from "./event.ts";

/** The folder that makes the outbox: for openPostgres, with the service's own. */
export const outboxMigrations = new URL("../migrations/outbox/", import.meta.url);

/**
 * Adds events to the transaction that they tell of: they become real with it, in one statement.
 * After the commit a relay publishes them; poke it to do so at once.
 */
export async function addToOutbox(tx: ISql, events: readonly Event[]): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map((event) => ({
    id: event.id,
    tenant_id: event.tenantId,
    topic: event.topic,
    payload: event.payload,
    traceparent: event.traceparent ?? null,
    occurred_at: event.occurredAt,
  }));
  await tx`insert into outbox ${tx(rows)}`;
}
