import type { Sql } from "postgres";
import type { DeadLetterSink } from "./bus.ts";

/** Keeps dead letters in the table that the inbox's migrations make. */
export function deadLettersInto(sql: Sql): DeadLetterSink {
  return async ({ event, consumer, attempts, reason }) => {
    await sql`
      insert into dead_letters ${sql({
        consumer,
        event_id: event.id,
        tenant_id: event.tenantId,
        topic: event.topic,
        payload: event.payload,
        traceparent: event.traceparent ?? null,
        occurred_at: event.occurredAt,
        attempts,
        reason,
      })}
      on conflict (consumer, event_id) do update
      set attempts = dead_letters.attempts + excluded.attempts, reason = excluded.reason, died_at = now()`;
  };
}
