import type { Interceptor } from "@connectrpc/connect";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { LRUCache } from "lru-cache";
import { around } from "./around.ts";
import { currentCall } from "./current.ts";
import { faultOf } from "./faults.ts";
import { admissionMeter } from "./metrics.ts";
import { rpcName } from "./rpc-name.ts";

/** For each call that was served lately, so many are sent, */
const sentPerServed = 1.5;
/** and so many more, to find out whether there is room. */
const spare = 5;
/** After this time a call counts half. */
const halfLifeMs = 2_000;
/** Of refused calls; with less there is no overload. */
const refusedMin = 0.5;
const tenantsMax = 10_000;

/** What became of one tenant's calls to one RPC lately. */
interface Lately {
  sent: number;
  served: number;
  refused: number;
  atMs: number;
  retryAfterMs: number;
}

export interface ThrottledOptions {
  /** The service that calls. */
  readonly service: string;
  readonly clock: Clock;
}

/**
 * Refuses calls itself that would most likely be refused over there: to say no costs the called service
 * nearly as much as to begin, and while it says no to hundreds it serves fewer. Of each tenant and RPC
 * somewhat more is always sent than was served, so that callers find out by themselves when there is room
 * again. After the adaptive throttling of "Site Reliability Engineering" (2016), chapter 21, but by what
 * is sent instead of by what is asked: a smaller flood is let in at once.
 */
export function throttled({ service, clock }: ThrottledOptions): Interceptor {
  const meter = admissionMeter(service);
  const known = new LRUCache<string, Lately>({ max: tenantsMax });

  function latelyOf(key: string): Lately {
    const atMs = clock.monotonicMs();
    const found = known.get(key);
    if (found) return faded(found, atMs);
    const lately = { sent: 0, served: 0, refused: 0, atMs, retryAfterMs: 0 };
    known.set(key, lately);
    return lately;
  }

  return around((req) => {
    const key = `${currentCall().identity?.tenantId ?? ""} ${rpcName(req)}`;
    const lately = latelyOf(key);
    if (lately.refused > refusedMin && lately.sent > sentPerServed * lately.served + spare) {
      meter.refused("throttled");
      throw refusal(service, lately.retryAfterMs);
    }
    lately.sent += 1;
    return {
      ended: () => void (latelyOf(key).served += 1),
      failed(error) {
        const { kind, reason, retryAfterMs = 1_000 } = faultOf(error);
        const now = latelyOf(key);
        if (reason === "OVERLOADED") {
          now.refused += 1;
          now.retryAfterMs = retryAfterMs;
        } else if (kind !== "cancelled") now.served += 1;
        return error;
      },
    };
  });
}

function faded(lately: Lately, nowMs: number): Lately {
  const left = 0.5 ** ((nowMs - lately.atMs) / halfLifeMs);
  lately.sent *= left;
  lately.served *= left;
  lately.refused *= left;
  lately.atMs = nowMs;
  return lately;
}

function refusal(service: string, retryAfterMs: number): Fault {
  return new Fault("exhausted", "there is more to do than can be done in time; try again later", {
    reason: "OVERLOADED",
    retryAfterMs: Math.round(retryAfterMs * (0.75 + Math.random() / 2)),
    metadata: { service, why: "throttled" },
  });
}
