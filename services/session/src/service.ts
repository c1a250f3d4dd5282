import { service } from "@soldier/chassis/service";
import { openBus } from "@soldier/events/open-bus";
import { eventsSettings } from "@soldier/events/events-settings";
import { outboxMigrations } from "@soldier/events/outbox";
import { startRelay } from "@soldier/events/relay";
import { observed } from "@soldier/storage/observed";
import { openPostgres, pingPostgres, postgresSettings } from "@soldier/storage/postgres";
import { everyTenantSql } from "@soldier/storage/tenant";
import { z } from "zod";
import { sessionRpc } from "./rpc/session-rpc.ts";
import { postgresSessionStore } from "./store/postgres.ts";

/** The `[session]` table. */
const sessionSettings = z.strictObject({
  lease_ms: z.int().min(100).max(600_000),
  idle_after_ms: z.int().min(1_000),
});

const migrations = [new URL("../migrations/", import.meta.url), outboxMigrations];

/** Owns sessions and turns: the lease that makes one writer, and the commit that makes a turn real. */
export const session = service({
  name: "session",
  settings: { session: sessionSettings, postgres: postgresSettings, events: eventsSettings },
  async start({ settings, opened, log, clock, ready }) {
    const sql = await openPostgres({
      settings: settings.postgres,
      schema: "session",
      migrations,
      opened,
      log,
    });
    ready.check("postgres", () => pingPostgres(sql));
    const bus = await openBus({ settings: settings.events, opened, log });
    const relay = startRelay({ sql: everyTenantSql(sql), bus, name: "session", log });
    opened.use(relay);
    const parts = {
      store: observed("session-store", postgresSessionStore(sql)),
      clock,
      leaseMs: settings.session.lease_ms,
      idleAfterMs: settings.session.idle_after_ms,
      committed: () => relay.poke(),
    };
    return { routes: [sessionRpc(parts)] };
  },
});
