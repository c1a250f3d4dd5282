import { setTimeout as delay } from "node:timers/promises";
import type { Call } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import type { Erasure } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";

export interface Erasing {
  readonly customer?: string;
  readonly session?: string;
  readonly episode?: string;
  readonly tenant?: boolean;
  /** Only count. */
  readonly dryRun?: boolean;
}

/** How long an erasure that is put off is waited for. */
const patienceMs = 60_000;
const lookEveryMs = 1_000;

/** What was erased, or would be, and the certificate. Throws the Fault "unavailable" when it goes on without us. */
export async function erase(call: Call, erasing: Erasing): Promise<string> {
  const memory = call(MemoryService);
  const { dryRun = false } = erasing;
  const answer = await memory.erase({ scope: scopeOf(erasing), dryRun });
  if (dryRun) return `would be erased: ${countsText(answer.erased)}`;
  if (!answer.erasure) return "nothing of that name is there";
  let { erasure } = answer;
  const until = performance.now() + patienceMs;
  while (!erasure.finishedAt && performance.now() < until) {
    await delay(lookEveryMs);
    erasure = (await memory.getErasure({ erasureId: erasure.id })).erasure ?? erasure;
  }
  if (!erasure.finishedAt) throw unfinished(erasure);
  const lines = [
    `erased: ${countsText(erasure.erased)}`,
    `searched afterwards for ${erasure.probes} of the texts: none is found`,
    `certificate: ${erasure.id}`,
  ];
  return lines.join("\n");
}

function scopeOf({ customer, session, episode, tenant }: Erasing) {
  const given = [
    ...(customer ? [{ case: "customerId", value: customer } as const] : []),
    ...(session ? [{ case: "sessionId", value: session } as const] : []),
    ...(episode ? [{ case: "episodeId", value: episode } as const] : []),
    ...(tenant ? [{ case: "tenant", value: true } as const] : []),
  ];
  const [scope, ...more] = given;
  if (scope && more.length === 0) return scope;
  throw new Fault("invalid", "say one of --customer, --session, --episode and --tenant", {
    reason: "ERASURE_UNCLEAR",
  });
}

function countsText(counts: Readonly<Record<string, bigint>>): string {
  const known = Object.entries(counts).filter(([, count]) => count > 0n);
  if (known.length === 0) return "nothing";
  return known
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, count]) => `${count} ${kind.replaceAll("_", " ")}`)
    .join(", ");
}

function unfinished({ id, done, failed }: Erasure): Fault {
  const so = `erasure ${id} is not finished: ${done.join(", ") || "nothing"} done, then ${failed}`;
  return new Fault("unavailable", `${so}; it goes on by itself, and at once when you ask again`, {
    reason: "ERASURE_UNFINISHED",
  });
}
