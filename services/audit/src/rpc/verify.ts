import { Fault } from "@soldier/kernel/fault";
import { type Broken, endOf, flawOf, type Link } from "../domain/chain.ts";
import type { AuditStore, Interval } from "../store/audit-store.ts";

export interface Verified {
  readonly checked: number;
  readonly dropped: number;
  readonly broken: Broken | undefined;
  readonly end: string;
}

const pageRows = 500;

/** Walks a tenant's chain, or the part of it that holds the interval, up to the first flaw. */
export async function verify(
  store: AuditStore,
  tenantId: string,
  interval: Interval,
  knownEnd: string,
  signal: AbortSignal,
): Promise<Verified> {
  const known = knownEndOf(knownEnd);
  const head = await store.chainEnd(tenantId);
  const part = await store.chainPart(tenantId, interval);
  const droppedBefore = await store.droppedBefore();
  let checked = 0;
  let dropped = 0;
  let before: Link | undefined;
  const result = (broken: Broken | undefined): Verified => ({
    checked,
    dropped,
    broken,
    end: head ? endOf(head) : "",
  });

  if (known) {
    const [link] = await store.links(tenantId, known.seq, 1);
    if (link?.seq !== known.seq || endOf(link) !== knownEnd)
      return result({ at: knownEnd, reason: "the chain does not hold the end that was known" });
  }
  if (part) {
    // One earlier, for its hash to follow from.
    let next = part.first > 1n ? part.first - 1n : part.first;
    while (next <= part.last) {
      signal.throwIfAborted();
      const links = await store.links(tenantId, next, pageRows);
      for (const link of links) {
        if (link.seq > part.last) break;
        const broken = flawOf(link, before, droppedBefore);
        if (broken) return result(broken);
        before = link;
        if (link.seq < part.first) continue;
        checked += 1;
        if (!link.content) dropped += 1;
      }
      const last = links.at(-1);
      if (!last) break;
      next = last.seq + 1n;
    }
  }
  const toTheEnd = interval.to === undefined;
  if (toTheEnd && head && (before?.seq !== head.seq || endOf(before) !== endOf(head)))
    return result({ at: endOf(head), reason: "the end of the chain was cut off" });
  const stray = await store.unchained(tenantId, interval);
  if (stray) return result({ at: stray, reason: "it was put beside the chain" });
  return result(undefined);
}

function knownEndOf(text: string): { seq: bigint } | undefined {
  if (text === "") return undefined;
  const [, seq] = /^([1-9][0-9]{0,18}):[0-9a-f]{64}$/.exec(text) ?? [];
  if (seq) return { seq: BigInt(seq) };
  throw new Fault("invalid", "known_end is not an end that this call has given", {
    reason: "KNOWN_END_INVALID",
    fields: [
      { field: "known_end", description: 'take "end" from an earlier answer, or leave it out' },
    ],
  });
}
