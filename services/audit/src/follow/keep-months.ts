import type { Clock } from "@soldier/kernel/clock";
import type { Log } from "@soldier/kernel/log";
import type { Months } from "../store/months.ts";

export interface KeepMonthsOptions {
  readonly months: Months;
  readonly clock: Clock;
  readonly log: Log;
  /** Months before this one that stay; 0: all. */
  readonly keepMonths: number;
  readonly everyMs: number;
}

/** Has a partition ready for each month to come and drops those that are too old, until disposed. */
export async function keepMonths(options: KeepMonthsOptions): Promise<Disposable> {
  const { months, clock, log, keepMonths: kept, everyMs } = options;
  async function tidy(): Promise<void> {
    await months.add(clock.now());
    if (kept === 0) return;
    const dropped = await months.drop(clock.now(), kept);
    if (dropped.length > 0) log.info({ dropped }, "months were dropped by retention");
  }
  await tidy();
  const timer = setInterval(() => {
    tidy().catch((error: unknown) => log.warn({ err: error }, "the months were not tidied"));
  }, everyMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
