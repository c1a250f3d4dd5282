import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Bundle, BundleSchema } from "@soldier/proto/config/v1/bundle";
import { checkedMessage } from "@soldier/kernel/checksum";
import { BundleHeadSchema } from "@soldier/proto/config/v1/config_service";
import type { VariableValue } from "@soldier/proto/config/v1/template";
import { type RedisCache, sealed, unsealed } from "@soldier/storage/redis-cache";

/** What replicas leave for each other, for when config can't be reached. Nothing rejects. */
export interface BundleSpares {
  /** The live version of an agent, as config has just given it; its slug is another name of it. */
  keep(tenantId: string, live: Live): Promise<void>;
  /** What was kept last for the agent, by id or slug; undefined when nothing, or nothing whole, is. */
  spare(tenantId: string, agent: string): Promise<Spare | undefined>;
}

export interface Live {
  readonly bundle: Bundle;
  readonly bytes: Uint8Array;
  readonly variableValues: readonly VariableValue[];
}

export interface Spare {
  readonly bundle: Bundle;
  readonly variableValues: readonly VariableValue[];
  readonly sizeBytes: number;
}

/** For a process that is alone. */
export const noSpares: BundleSpares = {
  keep: async () => {},
  spare: async () => undefined,
};

export interface RedisSparesOptions {
  readonly ttlMs: number;
  /** Larger bundles are not kept. */
  readonly maxBytes: number;
}

/** Another one is another's: what it names is not read. */
const format = 1;
const pieceBytes = 512 * 1024;
const hashBytes = 32;

/**
 * Bundles by the hash of their bytes, in pieces, and for each name of an agent which it is, with what
 * variables are set to. A bundle never changes, so pieces are written once.
 */
export function redisSpares(cache: RedisCache, options: RedisSparesOptions): BundleSpares {
  const { ttlMs, maxBytes } = options;

  async function writePieces(key: string, bytes: Uint8Array): Promise<boolean> {
    for (const [i, from] of offsets(bytes.byteLength).entries()) {
      const place = `${key}:${i}`;
      // What is there is right: the hash is part of its name. If it isn't, the reader sees it.
      const there = await cache.ask((redis) => redis.pexpire(place, ttlMs));
      if (there === undefined) return false;
      if (there === 1) continue;
      const piece = Buffer.from(bytes.subarray(from, from + pieceBytes));
      if (!(await cache.ask((redis) => redis.set(place, piece, "PX", ttlMs)))) return false;
    }
    return true;
  }

  async function readPieces(key: string, sizeBytes: number): Promise<Buffer | undefined> {
    const pieces: Buffer[] = [];
    for (const [i] of offsets(sizeBytes).entries()) {
      const piece = await cache.ask((redis) => redis.getBuffer(`${key}:${i}`));
      if (!piece) return undefined;
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  return {
    async keep(tenantId, { bundle, bytes, variableValues }) {
      if (bytes.byteLength > maxBytes) return cache.note("too_large");
      const hash = sha256(bytes);
      const key = pieceKey(tenantId, hash);
      if (!(await writePieces(key, bytes))) return;
      const { version, agentId, agent } = bundle;
      const head = create(BundleHeadSchema, {
        version,
        sizeBytes: BigInt(bytes.byteLength),
        variableValues: [...variableValues],
      });
      const value = Buffer.concat([hash, toBinary(BundleHeadSchema, head)]);
      for (const name of new Set([agentId, agent?.slug ?? agentId])) {
        const place = nameKey(tenantId, name);
        const written = await cache.ask((redis) =>
          redis.set(place, sealed(format, place, value), "PX", ttlMs),
        );
        if (written) cache.note("written");
      }
    },

    async spare(tenantId, agent) {
      const place = nameKey(tenantId, agent);
      const seal = await cache.ask((redis) => redis.getBuffer(place));
      if (!seal) {
        cache.note("miss");
        return undefined;
      }
      try {
        const value = unsealed(format, place, seal);
        if (!value) throw new Error("not what was written");
        const hash = Buffer.from(value.subarray(0, hashBytes));
        const { sizeBytes, variableValues } = fromBinary(
          BundleHeadSchema,
          value.subarray(hashBytes),
        );
        const key = pieceKey(tenantId, hash);
        const size = Number(sizeBytes);
        if (size > maxBytes) throw new Error("larger than any that is kept");
        const bytes = await readPieces(key, size);
        if (!bytes) {
          cache.note("miss");
          return undefined;
        }
        if (!sha256(bytes).equals(hash)) {
          const pieces = offsets(size).map((_, i) => `${key}:${i}`);
          await cache.ask((redis) => redis.unlink(...pieces));
          throw new Error("other bytes than were written");
        }
        const bundle = fromBinary(BundleSchema, checkedMessage(bytes));
        cache.note("hit");
        return { bundle, variableValues, sizeBytes: size };
      } catch {
        // Whatever it is that can't be read: it is not what was written.
        cache.corrupt(place);
        return undefined;
      }
    },
  };
}

function offsets(sizeBytes: number): readonly number[] {
  return Array.from({ length: Math.ceil(sizeBytes / pieceBytes) }, (_, i) => i * pieceBytes);
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function pieceKey(tenantId: string, hash: Buffer): string {
  return `bundle:${tenantId}:${hash.toString("hex")}`;
}

function nameKey(tenantId: string, agent: string): string {
  return `bundle-of:${tenantId}:${agent}`;
}
