import { service } from "@soldier/chassis/service";
import { openBus } from "@soldier/events/open-bus";
import { eventsSettings } from "@soldier/events/events-settings";
import { deadLettersInto } from "@soldier/events/dead-letters";
import { inboxMigrations } from "@soldier/events/inbox";
import { outboxMigrations } from "@soldier/events/outbox";
import { startRelay } from "@soldier/events/relay";
import { observed } from "@soldier/storage/observed";
import { openPostgres, pingPostgres, postgresSettings } from "@soldier/storage/postgres";
import { everyTenantSql } from "@soldier/storage/tenant";
import { followTurns } from "./follow/follow-turns.ts";
import { profileRpc } from "./rpc/profile-rpc.ts";
import { consumerName, postgresProfileStore } from "./store/postgres.ts";

const migrations = [new URL("../migrations/", import.meta.url), outboxMigrations, inboxMigrations];

/** Owns customers: their fields with where each came from, their names on channels, their consents. */
export const profile = service({
  name: "profile",
  settings: { postgres: postgresSettings, events: eventsSettings },
  async start({ settings, opened, log, clock, ready }) {
    const sql = await openPostgres({
      settings: settings.postgres,
      schema: "profile",
      migrations,
      opened,
      log,
    });
    ready.check("postgres", () => pingPostgres(sql));
    const store = observed("profile-store", postgresProfileStore(sql));
    const deadLetter = deadLettersInto(everyTenantSql(sql));
    const bus = await openBus({ settings: settings.events, opened, log, deadLetter });
    const relay = startRelay({ sql: everyTenantSql(sql), bus, name: "profile", log });
    opened.use(relay);
    await followTurns({ bus, consumer: consumerName, store, clock, log });
    return { routes: [profileRpc({ store, clock, announced: () => relay.poke() })] };
  },
});
