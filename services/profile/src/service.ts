import { service } from "@soldier/chassis/service";
import { openBus } from "@soldier/events/open-bus";
import { eventsSettings } from "@soldier/events/events-settings";
import { deadLettersInto } from "@soldier/events/dead-letters";
import { prunableInbox } from "@soldier/events/inbox";
import { startRelay } from "@soldier/events/relay";
import { observed } from "@soldier/storage/observed";
import { masterKey } from "@soldier/kernel/seal";
import { openPostgres, pingPostgres, postgresSettings } from "@soldier/storage/postgres";
import { startPruning } from "@soldier/storage/pruning";
import { everyTenantSql } from "@soldier/storage/tenant";
import { z } from "zod";
import { followTurns } from "./follow/follow-turns.ts";
import { keepRetention } from "./follow/keep-retention.ts";
import { profileRpc } from "./rpc/profile-rpc.ts";
import { ownSchema } from "./schema.ts";
import { postgresDefinitions } from "./store/definitions.ts";
import { consumerName, postgresProfileStore } from "./store/postgres.ts";

/** The `[profile]` table. */
const profileSettings = z.strictObject({
  encryption_key: z.string().refine((text) => text === "" || text.length >= 32, {
    error: "needs 32 characters or more, or none",
  }),
});

const retentionMs = 10 * 60_000;

/** Owns customers: their fields with where each came from, their names on channels, their consents. */
export const profile = service({
  name: "profile",
  settings: { profile: profileSettings, postgres: postgresSettings, events: eventsSettings },
  async start({ settings, opened, log, clock, ready }) {
    const sql = await openPostgres({
      settings: settings.postgres,
      ...ownSchema,
      opened,
      log,
      ready,
    });
    ready.check("postgres", () => pingPostgres(sql));
    const master = masterKey(settings.profile.encryption_key, "soldier profile customer keys");
    const store = observed("profile-store", postgresProfileStore(sql, master));
    const definitions = observed("definition-store", postgresDefinitions(sql));
    const every = everyTenantSql(sql);
    const deadLetter = deadLettersInto(every);
    const bus = await openBus({ settings: settings.events, opened, log, deadLetter });
    const keepPublishedMs = settings.events.outbox_keep_minutes * 60_000;
    const relay = startRelay({ sql: every, bus, name: "profile", log, keepPublishedMs });
    opened.use(relay);
    await followTurns({ bus, consumer: consumerName, store, definitions, clock, log });
    const tables = prunableInbox(every, settings.events);
    opened.use(startPruning({ service: "profile", tables, log }));
    opened.use(keepRetention({ store, clock, log, everyMs: retentionMs }));
    return { routes: [profileRpc({ store, definitions, clock, announced: () => relay.poke() })] };
  },
});
