import { service } from "@soldier/chassis/service";
import { openBus } from "@soldier/events/open-bus";
import { eventsSettings } from "@soldier/events/events-settings";
import { startRelay } from "@soldier/events/relay";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import { observed } from "@soldier/storage/observed";
import { openPostgres, pingPostgres, postgresSettings } from "@soldier/storage/postgres";
import { openRedis, redisSettings } from "@soldier/storage/redis";
import { redisCache } from "@soldier/storage/redis-cache";
import { startPruning } from "@soldier/storage/pruning";
import { everyTenantSql } from "@soldier/storage/tenant";
import { z } from "zod";
import { sessionRpc } from "./rpc/session-rpc.ts";
import { ownSchema } from "./schema.ts";
import { postgresSessionStore } from "./store/postgres.ts";
import { pruneTurnKeys } from "./store/prune-turn-keys.ts";
import { redisSessionCache } from "./store/session-cache.ts";
import { twoTierSessionStore } from "./store/two-tier.ts";

/** The `[session]` table. */
const sessionSettings = z.strictObject({
  lease_ms: z.int().min(100).max(600_000),
  idle_after_ms: z.int().min(1_000),
  /** What stands before PostgreSQL. */
  cache: z.enum(["redis", "none"]),
  cache_ttl_ms: z.int().min(1_000).max(86_400_000),
  keys_keep_days: z.int().min(1).max(3_650),
  cache_value_max_bytes: z.int().min(1_024).max(16_777_216),
});

/** Owns sessions and turns: the lease that makes one writer, and the commit that makes a turn real. */
export const session = service({
  name: "session",
  begins: [SessionService.method.beginTurn],
  settings: {
    session: sessionSettings,
    postgres: postgresSettings,
    redis: redisSettings,
    events: eventsSettings,
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
    const relay = startRelay({ sql: every, bus, name: "session", log, keepPublishedMs });
    opened.use(relay);
    const { session: own } = settings;
    const keys = {
      table: "turn_keys",
      prune: (rowsMax: number) => pruneTurnKeys(every, own.keys_keep_days, rowsMax),
    };
    opened.use(startPruning({ service: "session", tables: [keys], log }));
    let store = postgresSessionStore(sql);
    if (own.cache === "redis") {
      const redis = await openRedis({ settings: settings.redis, opened, log });
      const options = { ttlMs: own.cache_ttl_ms, valueMaxBytes: own.cache_value_max_bytes };
      const cache = redisCache({ redis, name: "session", log });
      store = twoTierSessionStore(store, redisSessionCache(cache, options));
    }
    const parts = {
      store: observed("session-store", store),
      clock,
      leaseMs: own.lease_ms,
      idleAfterMs: own.idle_after_ms,
      committed: () => relay.poke(),
    };
    return { routes: [sessionRpc(parts)] };
  },
});
