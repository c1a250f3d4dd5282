import { createHash } from "node:crypto";

/** One entry of a tenant's chain with its record, as far as it is there. */
export interface Link {
  readonly seq: bigint;
  readonly kind: "turn" | "event";
  readonly at: Date;
  /** Microseconds since 1970, as the database has them. */
  readonly atMicros: bigint;
  readonly id: string;
  readonly contentHash: Uint8Array;
  readonly hash: Uint8Array;
  /** Undefined: the record is not there. */
  readonly content:
    | { readonly record: Uint8Array; readonly personal: Uint8Array | null }
    | undefined;
}

export interface Broken {
  readonly at: string;
  readonly reason: string;
}

/** As the database's trigger computes it. */
export function contentHash(link: Link, record: Uint8Array, personal: Uint8Array | null): Buffer {
  return createHash("sha256")
    .update(link.kind)
    .update(int8(link.atMicros))
    .update(Buffer.from(link.id.replaceAll("-", ""), "hex"))
    .update(record)
    .update(personal ?? Buffer.alloc(0))
    .digest();
}

/** Of an entry after the one with that hash; undefined: the first. */
export function linkHash(before: Uint8Array | undefined, seq: bigint, content: Uint8Array): Buffer {
  return createHash("sha256")
    .update(before ?? Buffer.alloc(0))
    .update(int8(seq))
    .update(content)
    .digest();
}

/**
 * What is wrong with an entry that comes after the given one; undefined: nothing. Without one before
 * it, it is the first of the chain, or of the part that is looked at, whose own hash is then trusted.
 */
export function flawOf(
  link: Link,
  before: Link | undefined,
  droppedBefore: Date | undefined,
): Broken | undefined {
  const broken = (reason: string) => ({ at: `${link.seq} (${link.kind} ${link.id})`, reason });
  if (before && link.seq !== before.seq + 1n)
    return broken(`entries ${before.seq + 1n} to ${link.seq - 1n} are missing before it`);
  if (before || link.seq === 1n) {
    const hash = linkHash(before?.hash, link.seq, link.contentHash);
    if (!hash.equals(link.hash)) return broken("its hash does not follow from the one before");
  }
  if (!link.content) {
    const dropped = droppedBefore !== undefined && link.at < droppedBefore;
    return dropped ? undefined : broken("its record is missing");
  }
  const content = contentHash(link, link.content.record, link.content.personal);
  if (!content.equals(link.contentHash)) return broken("its record was changed");
  return undefined;
}

/** "number:hash", as an end of the chain is told. */
export function endOf(link: Pick<Link, "seq" | "hash">): string {
  return `${link.seq}:${Buffer.from(link.hash).toString("hex")}`;
}

function int8(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}
