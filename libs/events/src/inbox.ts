import type { Fragment, ISql, Sql, TransactionSql } from "postgres";
import { pruneDeadLetters } from "./dead-letters.ts";
import type { Event } from "./event.ts";
import type { EventsSettings } from "./events-settings.ts";

/** The folder that makes the inbox and the dead letters: for openPostgres, with the service's own. */
export const inboxMigrations = new URL("../migrations/inbox/", import.meta.url);

/**
 * Runs the effect in a transaction with the note that this consumer has had this event: exactly
 * one effect for any number of deliveries. Resolves to false when it had been had before. When the
 * effect rejects, both are undone.
 */
export async function once(
  sql: Sql,
  consumer: string,
  event: Pick<Event, "id">,
  effect: (tx: TransactionSql) => Promise<void>,
): Promise<boolean> {
  return await sql.begin(async (tx) => {
    // A delivery that runs at the same time waits here for the other one's end.
    const noted = await tx`
      insert into inbox (consumer, event_id) values (${consumer}, ${event.id})
      on conflict do nothing`;
    if (noted.count === 0) return false;
    await effect(tx);
    return true;
  });
}

/**
 * The same for an effect of one statement, without the four round trips of a transaction: the first
 * part of its WITH, of which everything else depends. It has one row, or none when this consumer has
 * had the event before.
 *
 *   with noted as (${notedOnce(sql, consumer, event)})
 *   insert into things (id) select ${id} from noted
 */
export function notedOnce(sql: ISql, consumer: string, event: Pick<Event, "id">): Fragment {
  // A delivery that runs at the same time waits here, too.
  return sql`
    insert into inbox (consumer, event_id) values (${consumer}, ${event.id})
    on conflict do nothing returning event_id`;
}

/**
 * Forgets notes older than that, at most `rowsMax` of them; returns how many. An event can come
 * again for as long as the stream, the outbox and the dead letters keep it: keep notes for longer.
 */
export async function pruneInbox(sql: Sql, keepDays: number, rowsMax = 10_000): Promise<number> {
  const gone = await sql`
    delete from inbox where (consumer, event_id) in (
      select consumer, event_id from inbox
      where received_at < now() - make_interval(days => ${keepDays})
      limit ${rowsMax}
    )`;
  return gone.count;
}

/** What a service that follows events has to prune; the pool is of every tenant. */
export function prunableInbox(
  sql: Sql,
  settings: Pick<EventsSettings, "inbox_keep_days" | "dead_letters_keep_days">,
) {
  return [
    {
      table: "inbox",
      prune: (rowsMax: number) => pruneInbox(sql, settings.inbox_keep_days, rowsMax),
    },
    {
      table: "dead_letters",
      prune: (rowsMax: number) => pruneDeadLetters(sql, settings.dead_letters_keep_days, rowsMax),
    },
  ];
}
