import { embedderSettings, openEmbedder } from "@soldier/ai/settings";
import { service } from "@soldier/chassis/service";
import { openBus } from "@soldier/events/open-bus";
import { eventsSettings } from "@soldier/events/events-settings";
import { startRelay } from "@soldier/events/relay";
import { observed } from "@soldier/storage/observed";
import { openPostgres, pingPostgres, postgresSettings } from "@soldier/storage/postgres";
import { startPruning } from "@soldier/storage/pruning";
import { everyTenantSql } from "@soldier/storage/tenant";
import { z } from "zod";
import { publisher } from "./publish/publisher.ts";
import { configRpc } from "./rpc/config-rpc.ts";
import { ownSchema } from "./schema.ts";
import { postgresConfigStore } from "./store/postgres.ts";
import { prunableConfig } from "./store/prune.ts";

/** The `[config]` table. */
const configSettings = z.strictObject({
  bundle_cache_max_bytes: z.int().min(1_048_576),
  versions_keep: z.int().min(0).max(1_000_000),
  versions_keep_days: z.int().min(0).max(3_650),
  /** Less than the gateway's deadline_ms, with room for the rest of a publish. */
  embed_slice_ms: z.int().min(1).max(3_600_000),
});

/** The `[bundles]` table: config keeps to it when publishing, alignment when fetching. */
const bundlesSettings = z.strictObject({
  max_bytes: z.int().min(1_024).max(1_073_741_824),
});

/** Owns behaviour: drafts that are edited, versions that are published, bundles that turns run on. */
export const config = service({
  name: "config",
  settings: {
    config: configSettings,
    bundles: bundlesSettings,
    postgres: postgresSettings,
    events: eventsSettings,
    embedder: embedderSettings,
  },
  async start({ settings, opened, log, clock, ready }) {
    const sql = await openPostgres({
      settings: settings.postgres,
      ...ownSchema,
      opened,
      log,
      ready,
    });
    ready.check("postgres", () => pingPostgres(sql));
    const bus = await openBus({ settings: settings.events, opened, log });
    const every = everyTenantSql(sql);
    const keepPublishedMs = settings.events.outbox_keep_minutes * 60_000;
    const relay = startRelay({ sql: every, bus, name: "config", log, keepPublishedMs });
    opened.use(relay);
    const { config: own } = settings;
    const tables = prunableConfig(every, {
      versions: own.versions_keep,
      versionDays: own.versions_keep_days,
    });
    opened.use(startPruning({ service: "config", tables, log }));
    const store = observed("config-store", postgresConfigStore(sql));
    const committed = () => relay.poke();
    const versions = publisher({
      store,
      embedder: openEmbedder(settings.embedder, opened, log),
      clock,
      committed,
      cacheMaxBytes: own.bundle_cache_max_bytes,
      sliceMs: own.embed_slice_ms,
      bundleMaxBytes: settings.bundles.max_bytes,
    });
    return { routes: [configRpc({ store, publisher: versions, clock, committed })] };
  },
});
