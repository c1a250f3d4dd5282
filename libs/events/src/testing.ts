import { randomBytes } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { EventsSettings } from "./events-settings.ts";

/** How long things are kept: for ever, to a test. */
export const keeping = {
  outbox_keep_minutes: 60,
  dead_letters_keep_days: 30,
  inbox_keep_days: 45,
} as const;

/** Settings for a suite's own bus: nothing is shared with any other. */
export function testEvents(url = `inproc://${randomBytes(6).toString("hex")}`): EventsSettings {
  const root = `test_${randomBytes(6).toString("hex")}`;
  return { url, root, replicas: 1, keep_hours: 1, connect_timeout_ms: 5_000, ...keeping };
}

/** Removes from the broker what a suite's bus has made there. */
export async function removeStreams({ url, root }: EventsSettings): Promise<void> {
  if (url.startsWith("inproc://")) return;
  const connection = await connect({ servers: new URL(url).host });
  try {
    const manager = await jetstreamManager(connection);
    for await (const { config } of manager.streams.list())
      if (config.name.startsWith(`${root}_`)) await manager.streams.delete(config.name);
  } finally {
    await connection.close();
  }
}
