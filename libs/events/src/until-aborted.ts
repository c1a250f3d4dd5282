import { Fault } from "@soldier/kernel/fault";

/** The work's outcome, or the Fault "unavailable" as soon as the signal aborts. */
export async function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (!signal) return await work;
  const aborted = Promise.withResolvers<never>();
  const abort = () =>
    aborted.reject(
      new Fault("unavailable", "the event was not taken in time", {
        cause: signal.reason,
        reason: "EVENT_NOT_TAKEN",
      }),
    );
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
