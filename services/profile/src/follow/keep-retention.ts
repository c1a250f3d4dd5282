import type { Clock } from "@soldier/kernel/clock";
import type { Log } from "@soldier/kernel/log";
import type { ProfileStore } from "../store/profile-store.ts";

export interface KeepRetentionOptions {
  readonly store: Pick<ProfileStore, "prune">;
  readonly clock: Clock;
  readonly log: Log;
  readonly everyMs: number;
}

/** Customers looked at in one pass: the next goes on. */
const customersMax = 500;

/** Removes what definitions no longer keep, from time to time, until disposed. */
export function keepRetention({ store, clock, log, everyMs }: KeepRetentionOptions): Disposable {
  const timer = setInterval(() => {
    store.prune(clock.now(), customersMax).then(
      (claims) => {
        if (claims > 0) log.info({ claims }, "claims were removed by retention");
      },
      (error: unknown) => log.warn({ err: error }, "retention was not kept this time"),
    );
  }, everyMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
