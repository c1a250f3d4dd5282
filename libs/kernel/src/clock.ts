/** The only source of time: passed in, so that a test can set it. */
export interface Clock {
  /** Wall-clock time, UTC. */
  now(): Date;
  /** Milliseconds that never go backwards; only differences mean anything. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};

/** A clock that stands still until told to move: for tests. */
export function manualClock(start: Date): Clock & { advance(ms: number): void } {
  let elapsedMs = 0;
  return {
    now: () => new Date(start.getTime() + elapsedMs),
    monotonicMs: () => elapsedMs,
    advance(ms) {
      elapsedMs += ms;
    },
  };
}
