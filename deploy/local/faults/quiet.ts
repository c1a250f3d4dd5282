import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { Sql } from "postgres";

/** Says what still waits of what was committed; empty when all of it has been told and taken. */
export async function waiting(sql: Sql, natsPort: number): Promise<string> {
  const [row] = await sql<{ turns: number; records: number; remembered: number }[]>`
    select
      (select count(*)::int from session.turns) as turns,
      (select count(distinct turn_id)::int from audit.turn_records) as records,
      (select count(distinct turn_id)::int from memory.episodes) as remembered`;
  if (!row) throw new Error("a query without a row");
  const { turns, records, remembered } = row;
  const unpublished = await unpublishedEvents(sql);
  const untaken = await untakenMessages(natsPort).catch(() => undefined);
  const parts = [
    ...(untaken === undefined ? ["the broker does not answer"] : []),
    ...(unpublished > 0 ? [`${unpublished} events not published`] : []),
    ...(untaken ? [`${untaken} messages not taken`] : []),
    ...(records < turns ? [`${turns - records} of ${turns} turns without a record`] : []),
    ...(remembered < turns ? [`${turns - remembered} of ${turns} turns not in memory`] : []),
  ];
  return parts.join(", ");
}

async function unpublishedEvents(sql: Sql): Promise<number> {
  const outboxes = await sql<{ schema: string }[]>`
    select schemaname as schema from pg_tables where tablename = 'outbox'`;
  const counts = await Promise.all(
    outboxes.map(
      ({ schema }) => sql<{ count: number }[]>`
        select count(*)::int as count from ${sql(schema)}.outbox where published_at is null`,
    ),
  );
  return counts.flat().reduce((sum, { count }) => sum + count, 0);
}

/** Delivered and not acknowledged, or not delivered, to any durable consumer. */
async function untakenMessages(natsPort: number): Promise<number> {
  const nats = await connect({ servers: `127.0.0.1:${natsPort}` });
  try {
    const manager = await jetstreamManager(nats);
    let count = 0;
    for await (const { config } of manager.streams.list())
      for await (const consumer of manager.consumers.list(config.name))
        if (consumer.config.durable_name) count += consumer.num_pending + consumer.num_ack_pending;
    return count;
  } finally {
    await nats.close();
  }
}
