import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { ISql, Sql } from "postgres";
import type { DeadLetterSink, Erasing } from "./bus.ts";
import { type Event, readableOf, type Topic } from "./event.ts";

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

/** Takes dead letters out of the table, see EventBus.erase; resolves with how many. */
export async function eraseDeadLetters(
  sql: ISql,
  { topic, tenantId, matches }: Erasing,
): Promise<number> {
  const rows = await sql<{ consumer: string; event_id: string; payload: Uint8Array; at: Date }[]>`
    select consumer, event_id, payload, occurred_at as at from dead_letters
    where tenant_id = ${tenantId} and topic = ${topic}`;
  const found = rows.filter(({ event_id: id, payload, at: occurredAt }) =>
    matches({ id, topic, tenantId, payload, occurredAt }),
  );
  const ids = found.map(({ event_id: id }) => id);
  const gone = await sql`
    delete from dead_letters where tenant_id = ${tenantId} and event_id = any(${ids}::uuid[])`;
  return gone.count;
}

/** Dead letters that an erasure has removed. */
export interface ErasedLetters {
  /** All of them. */
  readonly letters: number;
  /** Those that nobody could read: see eraseLettersOf. */
  readonly unreadable: number;
}

/**
 * Takes the dead letters of one topic whose messages are covered by an erasure out of the table. A letter
 * that can't be read may hold the words of whoever is erased: it goes with them, and is counted apart. What
 * is lost with it could not have been replayed.
 */
export async function eraseLettersOf<M extends DescMessage>(
  sql: ISql,
  topic: Topic<M>,
  tenantId: string,
  covers: (message: MessageShape<M>) => boolean,
): Promise<ErasedLetters> {
  let unreadable = 0;
  const matches = (event: Event) => {
    const message = readableOf(topic, event);
    if (!message) unreadable++;
    return !message || covers(message);
  };
  const letters = await eraseDeadLetters(sql, { topic: topic.name, tenantId, matches });
  return { letters, unreadable };
}

/** Removes up to `rowsMax` dead letters that were given up longer ago than that; returns how many. */
export async function pruneDeadLetters(
  sql: Sql,
  keepDays: number,
  rowsMax: number,
): Promise<number> {
  const gone = await sql`
    delete from dead_letters where ctid = any(array(
      select ctid from dead_letters
      where died_at < now() - make_interval(days => ${keepDays})
      limit ${rowsMax}
    ))`;
  return gone.count;
}
