import { Fault } from "@soldier/kernel/fault";

/**
 * What a call throws whose signal aborted: the signal's own Fault when it carries one (a deadline
 * of the mesh does), otherwise a "deadline" for a timer's signal and "cancelled" for any other.
 */
export function cancelled(signal: AbortSignal): Fault {
  const reason: unknown = signal.reason;
  if (reason instanceof Fault) return reason;
  if (reason instanceof Error && reason.name === "TimeoutError")
    return new Fault("deadline", "the caller's deadline has passed", { cause: reason });
  return new Fault("cancelled", "the caller has cancelled", { cause: reason });
}

export function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw cancelled(signal);
}
