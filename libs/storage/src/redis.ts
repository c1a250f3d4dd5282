import { Fault } from "@soldier/kernel/fault";
import { type Log, silentLog } from "@soldier/kernel/log";
import { Redis, type RedisOptions } from "ioredis";
import { z } from "zod";

/** The `[redis]` table. */
export const redisSettings = z.strictObject({
  /** redis://user:password@host:port/database, or rediss:// for TLS. */
  url: z
    .string()
    .regex(/^rediss?:\/\//, "must begin with redis:// or rediss://")
    .refine((url) => URL.canParse(url), "must be a URL"),
  /** Before every key, for deployments that share a server. */
  key_prefix: z.string().max(64),
  connect_timeout_ms: z.int().min(100).max(120_000),
  /** A command without an answer for so long fails; Redis is a cache, waiting for it helps no one. */
  command_timeout_ms: z.int().min(10).max(60_000),
});

export type RedisSettings = z.output<typeof redisSettings>;

export interface OpenRedisOptions {
  readonly settings: RedisSettings;
  readonly opened: AsyncDisposableStack;
  readonly log?: Log;
  /** Lua scripts as typed commands. Not defineCommand: duplicate() forgets those. */
  readonly scripts?: RedisOptions["scripts"];
}

/**
 * A connection to Redis. It waits for the first answer up to connect_timeout_ms, then returns
 * either way: nothing may depend on Redis being there. While it is away each command fails at once
 * (see storageFault) and the client reconnects by itself, at least once a second.
 */
export async function openRedis(options: OpenRedisOptions): Promise<Redis> {
  const { settings, opened, log = silentLog, scripts } = options;
  const redis = new Redis(settings.url, {
    keyPrefix: settings.key_prefix,
    connectTimeout: settings.connect_timeout_ms,
    commandTimeout: settings.command_timeout_ms,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), 1_000),
    lazyConnect: true,
    ...(scripts && { scripts }),
  });
  opened.defer(() => redis.disconnect());
  reportOutages(redis, new URL(settings.url).host, log);
  // It rejects when the first attempt fails; the attempts after it go on in the background.
  await redis.connect().catch((error: unknown) => {
    log.warn({ err: error }, "Redis is not there; going on without it");
  });
  return redis;
}

/** For readiness: rejects with the Fault "unavailable" unless Redis answers. */
export async function pingRedis(redis: Redis): Promise<void> {
  try {
    await redis.ping();
  } catch (error) {
    throw new Fault("unavailable", "Redis cannot be reached", { cause: error });
  }
}

/** One line when it goes and one when it is back, however many attempts lie between. */
function reportOutages(redis: Redis, host: string, log: Log): void {
  let away = false;
  redis.on("error", (error: Error) => {
    if (!away) log.warn({ host, err: error }, "Redis is away");
    away = true;
  });
  redis.on("ready", () => {
    if (away) log.info({ host }, "Redis is back");
    away = false;
  });
}
