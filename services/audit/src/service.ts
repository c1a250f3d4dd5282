import { service } from "@soldier/chassis/service";
import { openBus } from "@soldier/events/open-bus";
import { eventsSettings } from "@soldier/events/events-settings";
import { deadLettersInto } from "@soldier/events/dead-letters";
import { inboxMigrations } from "@soldier/events/inbox";
import { observed } from "@soldier/storage/observed";
import { openPostgres, pingPostgres, postgresSettings } from "@soldier/storage/postgres";
import { recordEvents, topics } from "./follow/record-events.ts";
import { auditRpc } from "./rpc/audit-rpc.ts";
import { consumer, postgresAuditStore } from "./store/postgres.ts";

const migrations = [new URL("../migrations/", import.meta.url), inboxMigrations];

/** Owns what was recorded of turns and of everything else worth auditing. */
export const audit = service({
  name: "audit",
  settings: { postgres: postgresSettings, events: eventsSettings },
  async start({ settings, opened, log, clock, ready }) {
    const sql = await openPostgres({
      settings: settings.postgres,
      schema: "audit",
      migrations,
      opened,
      log,
    });
    ready.check("postgres", () => pingPostgres(sql));
    const store = observed("audit-store", postgresAuditStore(sql));
    const deadLetter = deadLettersInto(sql);
    const bus = await openBus({ settings: settings.events, opened, log, deadLetter });
    await bus.consume({ consumer, topics }, recordEvents(store, clock));
    return { routes: [auditRpc(store)] };
  },
});
