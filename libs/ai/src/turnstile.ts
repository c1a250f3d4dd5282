import { cancelled, throwIfCancelled } from "./cancelled.ts";

/** Lets only so many through at a time; the others wait, in the order in which they came. */
export interface Turnstile {
  /**
   * Resolves with what must be called once to leave. Throws the overflow's fault when too many wait,
   * and the Fault of `cancelled` when the signal aborts meanwhile.
   */
  enter(signal: AbortSignal): Promise<() => void>;
}

export function turnstile(options: {
  readonly insideMax: number;
  readonly waitingMax: number;
  readonly overflow: () => Error;
}): Turnstile {
  const { insideMax, waitingMax, overflow } = options;
  const waiting = new Set<() => void>();
  let inside = 0;

  /** The place goes straight to whoever waits longest. */
  function left(): void {
    const [next] = waiting;
    if (!next) {
      inside--;
      return;
    }
    waiting.delete(next);
    next();
  }

  function leaveOnce(): () => void {
    let gone = false;
    return () => {
      if (!gone) left();
      gone = true;
    };
  }

  return {
    async enter(signal) {
      throwIfCancelled(signal);
      if (inside < insideMax) {
        inside++;
        return leaveOnce();
      }
      if (waiting.size >= waitingMax) throw overflow();
      return new Promise((resolve, reject) => {
        const cancel = () => {
          waiting.delete(admit);
          reject(cancelled(signal));
        };
        const admit = () => {
          signal.removeEventListener("abort", cancel);
          resolve(leaveOnce());
        };
        waiting.add(admit);
        signal.addEventListener("abort", cancel, { once: true });
      });
    },
  };
}
