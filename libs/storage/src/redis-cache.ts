import { crc32 } from "node:zlib";
import type { Log } from "@soldier/kernel/log";
import { type Redis, ReplyError } from "ioredis";
import { Counter } from "prom-client";

export const cacheUses = new Counter({
  name: "soldier_cache_total",
  help: "What became of a look into Redis, or of a write there, by cache",
  labelNames: ["cache", "outcome"],
});

/**
 * How it went. hit, miss; stale: of another version than the store's; corrupt: not what was written;
 * refused: Redis said no (it is full, say); failed: no answer in time; skipped: not even asked, since
 * it has just failed; too_large: not kept.
 */
export type CacheOutcome =
  | "hit"
  | "miss"
  | "stale"
  | "corrupt"
  | "written"
  | "refused"
  | "failed"
  | "skipped"
  | "too_large";

export interface RedisCacheOptions {
  readonly redis: Redis;
  /** Of metrics and logs. */
  readonly name: string;
  readonly log: Log;
  /** Redis isn't asked for so long after it has failed three times in a row; a second unless given. */
  readonly restMs?: number;
  /** In milliseconds; only differences count. */
  readonly now?: () => number;
}

/** Redis as something that may vanish, hang, forget, fill up or lie at any moment, and only costs time. */
export interface RedisCache {
  /** Undefined when Redis is away, slow or says no; never rejects. */
  ask<T>(work: (redis: Redis) => Promise<T>): Promise<T | undefined>;
  note(outcome: CacheOutcome): void;
  /** Notes a value that isn't what was written, and says so in the log, at most once a minute. */
  corrupt(key: string): void;
}

const failuresMax = 3;
const sayAgainMs = 60_000;

/**
 * After three failures in a row nobody waits for Redis any more, but for a rest and then until a ping
 * has come back in time, for which nobody waits either.
 */
export function redisCache(options: RedisCacheOptions): RedisCache {
  const { redis, name, log, restMs = 1_000, now = () => performance.now() } = options;
  let failures = 0;
  let restsUntil = Number.NEGATIVE_INFINITY;
  let pinging = false;
  const said = new Map<string, number>();

  const note = (outcome: CacheOutcome) => cacheUses.inc({ cache: name, outcome });

  function say(key: string, facts: object, message: string): void {
    const last = said.get(key) ?? Number.NEGATIVE_INFINITY;
    if (now() - last < sayAgainMs) return;
    said.set(key, now());
    log.warn({ cache: name, ...facts }, message);
  }

  function failed(error: unknown): void {
    failures += 1;
    restsUntil = now() + restMs;
    if (failures === failuresMax)
      say("away", { err: error }, "Redis does not answer in time; going on without this cache");
  }

  function probe(): void {
    if (pinging || now() < restsUntil) return;
    pinging = true;
    redis
      .ping()
      .then(() => {
        failures = 0;
      }, failed)
      .finally(() => {
        pinging = false;
      });
  }

  return {
    note,
    async ask(work) {
      if (failures >= failuresMax) {
        probe();
        note("skipped");
        return undefined;
      }
      try {
        const answer = await work(redis);
        failures = 0;
        return answer;
      } catch (error) {
        if (error instanceof ReplyError) {
          note("refused");
          say("refused", { err: error }, "Redis refuses what this cache asks");
        } else {
          note("failed");
          failed(error);
        }
        return undefined;
      }
    },
    corrupt(key) {
      note("corrupt");
      say("corrupt", { key }, "a value in Redis is not what was written; it is made anew");
    },
  };
}

/** Before the bytes of a sealed value. */
export const sealBytes = 5;

/**
 * The bytes with a format and a checksum over them and their place, so that what is torn, of somewhere
 * else, or of another release's format is found out.
 */
export function sealed(format: number, place: string, bytes: Uint8Array): Buffer {
  const seal = Buffer.allocUnsafe(sealBytes + bytes.byteLength);
  seal.writeUInt8(format, 0);
  seal.writeUInt32BE(checksum(format, place, bytes), 1);
  seal.set(bytes, sealBytes);
  return seal;
}

/** What was sealed for that place; undefined when it isn't. */
export function unsealed(format: number, place: string, seal: Uint8Array): Uint8Array | undefined {
  if (seal.byteLength < sealBytes || seal[0] !== format) return undefined;
  const bytes = seal.subarray(sealBytes);
  const found = new DataView(seal.buffer, seal.byteOffset).getUint32(1);
  return found === checksum(format, place, bytes) ? bytes : undefined;
}

function checksum(format: number, place: string, bytes: Uint8Array): number {
  return crc32(bytes, crc32(place, format));
}
