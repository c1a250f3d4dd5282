import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import type { ChassisSettings } from "./chassis-settings.ts";
import { FairQueue } from "./fair-queue.ts";
import type { Logger } from "./log.ts";
import type { Pressure } from "./loop-lag.ts";
import { admissionMeter } from "./metrics.ts";

/** A call that wants to begin work. */
export interface Entrant {
  readonly tenantId: string;
  /** When its caller stops waiting, on performance.now()'s scale. */
  readonly deadlineAtMs?: number | undefined;
  /** Aborts when its caller leaves. */
  readonly signal?: AbortSignal | undefined;
}

/** A place among those who are being served. Given back once; more often does nothing. */
export interface Place {
  leave(): void;
}

/** Who is served by a service, and when; see Admissions. */
export interface Admission {
  /**
   * A place, at once or when it is the tenant's turn. Rejects with "exhausted", OVERLOADED and a delay
   * when that would take too long, or with the signal's reason.
   */
  readonly enter: (entrant: Entrant) => Promise<Place>;
}

export interface AdmissionOptions {
  readonly service: string;
  readonly settings: ChassisSettings["admission"];
  readonly clock: Clock;
  readonly log: Logger;
}

interface Waiting extends Entrant {
  readonly sinceMs: number;
  readonly admit: (place: Place) => void;
  readonly refuse: (error: unknown) => void;
}

type Why = "tenant-full" | "queue-full" | "deadline" | "waited";

const retryMinMs = 250;
const retryMaxMs = 10_000;
const logEveryMs = 10_000;
/** Windows under pressure before fewer calls are let in: a collection of garbage is no overload. */
const pressedMin = 5;
/** Weight of the latest of the times between places that become free. */
const intervalWeight = 0.1;

/**
 * A limit on the calls that one service serves at the same time, behind a queue that is fair to tenants.
 * No tenant gets more than its share of the places, so that others find one at once. The limit falls
 * while the process stays too busy to answer in time, and rises again when it is not.
 */
export function openAdmission({
  service,
  settings,
  clock,
  log,
}: AdmissionOptions): Admission & { readonly adapt: (pressure: Pressure) => void } {
  const meter = admissionMeter(service);
  const queue = new FairQueue<Waiting>({
    max: settings.waiting_max,
    tenantMax: settings.tenant_waiting_max,
  });
  const runningOf = new Map<string, number>();
  let running = 0;
  let limit = settings.concurrent_max;
  /** Windows under pressure, less those without. */
  let pressedFor = 0;
  /** Between two places that become free while somebody waits. */
  let intervalMs = 0;
  let freedAtMs: number | undefined;
  let refusedSince = 0;
  let loggedAtMs = -Infinity;
  meter.limit(limit);

  const tenantMax = () => Math.max(1, Math.floor(limit * settings.tenant_share));
  const mayRun = (tenantId: string) => (runningOf.get(tenantId) ?? 0) < tenantMax();

  function take(tenantId: string, waitedMs: number): Place {
    running += 1;
    runningOf.set(tenantId, (runningOf.get(tenantId) ?? 0) + 1);
    meter.admitted(running, waitedMs);
    let here = true;
    return {
      leave() {
        if (!here) return;
        here = false;
        running -= 1;
        const left = (runningOf.get(tenantId) ?? 1) - 1;
        if (left > 0) runningOf.set(tenantId, left);
        else runningOf.delete(tenantId);
        meter.left(running);
        freed();
        admitNext();
      },
    };
  }

  function freed(): void {
    if (queue.size === 0) {
      freedAtMs = undefined;
      return;
    }
    const nowMs = clock.monotonicMs();
    if (freedAtMs !== undefined) {
      const latest = nowMs - freedAtMs;
      intervalMs += (latest - intervalMs) * (intervalMs === 0 ? 1 : intervalWeight);
    }
    freedAtMs = nowMs;
  }

  function admitNext(): void {
    while (running < limit) {
      const next = queue.shift(mayRun);
      if (!next) break;
      next.admit(take(next.tenantId, clock.monotonicMs() - next.sinceMs));
    }
    meter.waiting(queue.size);
  }

  /** How long the next of a tenant's calls would wait, by what has become free lately. */
  function expectedMs(tenantId: string): number {
    const own = queue.sizeOf(tenantId);
    return (own + 1) * (queue.tenants + (own === 0 ? 1 : 0)) * intervalMs;
  }

  function refusal(tenantId: string, why: Why): Fault {
    meter.refused(why);
    refusedSince += 1;
    const nowMs = clock.monotonicMs();
    // One line for many: a flood must not become one of the log.
    if (nowMs - loggedAtMs >= logEveryMs) {
      log.warn({ refused: refusedSince, limit, running, waiting: queue.size, why }, "overloaded");
      loggedAtMs = nowMs;
      refusedSince = 0;
    }
    const delayMs = Math.min(Math.max(expectedMs(tenantId), retryMinMs), retryMaxMs);
    return new Fault("exhausted", "there is more to do than can be done in time; try again later", {
      reason: "OVERLOADED",
      // Not all at once.
      retryAfterMs: Math.round(delayMs * (1 + Math.random() / 2)),
      metadata: { service, why },
    });
  }

  function wait(entrant: Entrant, patienceMs: number, why: Why): Promise<Place> {
    const { tenantId, signal } = entrant;
    return new Promise((resolve, reject) => {
      const over = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", gone);
      };
      const waiting: Waiting = {
        ...entrant,
        sinceMs: clock.monotonicMs(),
        admit(place) {
          over();
          resolve(place);
        },
        refuse(error) {
          over();
          reject(error);
        },
      };
      const leaveQueue = (reason: () => unknown) => {
        if (queue.remove(tenantId, waiting)) waiting.refuse(reason());
        meter.waiting(queue.size);
      };
      const gone = () => leaveQueue(() => signal?.reason);
      const timer = setTimeout(() => leaveQueue(() => refusal(tenantId, why)), patienceMs);
      signal?.addEventListener("abort", gone, { once: true });
      const overflow = queue.push(tenantId, waiting);
      if (overflow) overflow.item.refuse(refusal(overflow.item.tenantId, overflow.why));
      meter.waiting(queue.size);
    });
  }

  return {
    enter: async (entrant) => {
      const { tenantId, deadlineAtMs = Infinity, signal } = entrant;
      if (signal?.aborted) throw signal.reason;
      const nobodyFirst = queue.sizeOf(tenantId) === 0;
      if (nobodyFirst && running < limit && mayRun(tenantId)) return take(tenantId, 0);
      const leftMs = deadlineAtMs - performance.now();
      const patienceMs = Math.min(settings.wait_max_ms, leftMs);
      const why = leftMs < settings.wait_max_ms ? "deadline" : "waited";
      // It would wait in vain, and keep others from being told so.
      if (patienceMs <= 0 || expectedMs(tenantId) > patienceMs) throw refusal(tenantId, why);
      return await wait(entrant, patienceMs, why);
    },

    adapt: ({ lagMs, busyShare, heapShare }) => {
      // Late, but idle: others have the processor, and fewer calls would change nothing.
      const tooBusy = lagMs > settings.lag_max_ms && busyShare > settings.busy_share_max;
      const pressed = tooBusy || heapShare > settings.heap_share_max;
      pressedFor = Math.max(0, Math.min(pressedFor + (pressed ? 1 : -1), pressedMin));
      const least = Math.min(settings.concurrent_min, settings.concurrent_max);
      if (pressed && pressedFor === pressedMin)
        limit = Math.max(least, Math.floor(Math.min(limit, running) * 0.9));
      else if (pressedFor === 0) limit = Math.min(settings.concurrent_max, Math.ceil(limit * 1.1));
      meter.limit(limit);
      admitNext();
    },
  };
}
