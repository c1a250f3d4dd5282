import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type SessionState,
  SessionStateSchema,
  type Turn,
  TurnSchema,
} from "@soldier/proto/session/v1/session";
import { type RedisCache, sealBytes, sealed, unsealed } from "@soldier/storage/redis-cache";
import type { Kept } from "./session-store.ts";

/** A version of a session, as a cache keeps it. */
export interface Version {
  readonly version: bigint;
  readonly updatedAt: Date;
  readonly turnCount: number;
  readonly state: SessionState;
}

/**
 * Sessions beside the store. Nothing in it counts before the store has said that it is of the
 * session's present version, so it may be old, wrong or gone. Nothing rejects.
 */
export interface SessionCache {
  /** With the latest turns, so many or all that there are; undefined when it doesn't hold them. */
  read(tenantId: string, sessionId: string, turnsMax: number): Promise<Kept | undefined>;
  /** In the place of whatever is kept: the version and its latest turns, as many as were asked for. */
  replace(
    tenantId: string,
    sessionId: string,
    version: Version,
    turns: readonly Turn[],
  ): Promise<void>;
  /**
   * The next version, which this turn has made of the one before, if that is what is kept. Turns are not
   * always as they were: what somebody has said may be erased, and may not come back with the next turn.
   */
  add(
    tenantId: string,
    sessionId: string,
    before: Pick<Version, "version" | "updatedAt">,
    version: Version,
    turn: Turn,
  ): Promise<void>;
  forget(tenantId: string, sessionId: string): Promise<void>;
  /** What the store said of a value that was read. */
  found(kept: boolean): void;
}

export interface SessionCacheOptions {
  /** A session without a turn for so long is forgotten. */
  readonly ttlMs: number;
  /** Of a state or a turn; a session with a larger one is not kept. */
  readonly valueMaxBytes: number;
}

/** Turns of a session that are kept, at most: the latest. */
const slots = 32;

/** Another one is another's: what it holds is not read but replaced. */
const format = 1;

/** All or nothing, in one round trip. */
const writing = `
  if ARGV[2] == "" then redis.call("unlink", KEYS[1])
  elseif string.sub(redis.call("hget", KEYS[1], "head") or "", ARGV[3], ARGV[3] + #ARGV[2] - 1) ~= ARGV[2]
  then return 0 end
  redis.call("hset", KEYS[1], unpack(ARGV, 4))
  return redis.call("pexpire", KEYS[1], ARGV[1])`;

const headBytes = 20;
const headField = "head";

/**
 * One hash for each session: a head with version and state, and a ring of turns, so that a commit
 * writes no more than its own turn.
 */
export function redisSessionCache(cache: RedisCache, options: SessionCacheOptions): SessionCache {
  const { ttlMs, valueMaxBytes } = options;

  const forget = async (tenantId: string, sessionId: string): Promise<void> => {
    await cache.ask((redis) => redis.unlink(keyOf(tenantId, sessionId)));
  };

  return {
    forget,
    found: (kept) => cache.note(kept ? "hit" : "stale"),

    async read(tenantId, sessionId, turnsMax) {
      const key = keyOf(tenantId, sessionId);
      const fields = await cache.ask((redis) => redis.hgetallBuffer(key));
      if (!fields) return undefined;
      const head = fields[headField];
      if (!head) {
        cache.note("miss");
        return undefined;
      }
      try {
        const version = versionFrom(opened(key, headField, head));
        const turns: Turn[] = [];
        const first = Math.max(1, version.turnCount - turnsMax + 1);
        for (let number = first; number <= version.turnCount; number++) {
          const field = fieldOf(number);
          const found = fields[field];
          const turn = found && fromBinary(TurnSchema, opened(key, field, found));
          if (turn?.number !== number) {
            cache.note("miss");
            return undefined;
          }
          turns.push(turn);
        }
        return { ...version, turns };
      } catch {
        // Whatever it is that can't be read: it is not what was written.
        cache.corrupt(key);
        return undefined;
      }
    },

    replace: (tenantId, sessionId, version, turns) =>
      write(tenantId, sessionId, version, turns, Buffer.of()),
    add: (tenantId, sessionId, before, version, turn) =>
      write(tenantId, sessionId, version, [turn], stampOf(before)),
  };

  async function write(
    tenantId: string,
    sessionId: string,
    version: Version,
    turns: readonly Turn[],
    /** Of the version that it must be added to; empty: whatever is kept is replaced. */
    before: Buffer,
  ): Promise<void> {
    const key = keyOf(tenantId, sessionId);
    const values = new Map([[headField, headOf(version)]]);
    for (const turn of turns.slice(-slots))
      values.set(fieldOf(turn.number), toBinary(TurnSchema, turn));
    if ([...values.values()].some(({ byteLength }) => byteLength > valueMaxBytes)) {
      cache.note("too_large");
      return forget(tenantId, sessionId);
    }
    const fields = [...values].flatMap(([field, bytes]) => [
      field,
      sealed(format, placeOf(key, field), bytes),
    ]);
    const written = await cache.ask((redis) =>
      redis.eval(writing, 1, key, ttlMs, before, sealBytes + 1, ...fields),
    );
    if (written === 1) cache.note("written");
  }
}

function keyOf(tenantId: string, sessionId: string): string {
  return `session:${tenantId}:${sessionId}`;
}

function placeOf(key: string, field: string): string {
  return `${key} ${field}`;
}

function fieldOf(turnNumber: number): string {
  return String(turnNumber % slots);
}

function opened(key: string, field: string, seal: Uint8Array): Uint8Array {
  const bytes = unsealed(format, placeOf(key, field), seal);
  if (!bytes) throw new Error("not what was written");
  return bytes;
}

function headOf({ version, updatedAt, turnCount, state }: Version): Uint8Array {
  const bytes = toBinary(SessionStateSchema, state);
  const head = new Uint8Array(headBytes + bytes.byteLength);
  head.set(stampOf({ version, updatedAt }));
  new DataView(head.buffer).setInt32(16, turnCount);
  head.set(bytes, headBytes);
  return head;
}

/** What a head begins with, after its seal. */
function stampOf({ version, updatedAt }: Pick<Version, "version" | "updatedAt">): Buffer {
  const stamp = Buffer.alloc(16);
  stamp.writeBigInt64BE(version, 0);
  stamp.writeDoubleBE(updatedAt.getTime(), 8);
  return stamp;
}

function versionFrom(head: Uint8Array): Version {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  return {
    version: view.getBigInt64(0),
    updatedAt: new Date(view.getFloat64(8)),
    turnCount: view.getInt32(16),
    state: fromBinary(SessionStateSchema, head.subarray(headBytes)),
  };
}
