import { getHeapStatistics } from "node:v8";

/** How hard this process has it, over the last fifth of a second. */
export interface Pressure {
  /** By how much timers were late, on average, in milliseconds. */
  readonly lagMs: number;
  /** Of the time that the event loop did not wait for anything. */
  readonly busyShare: number;
  /** Of the memory that Node may use for objects, garbage included. */
  readonly heapShare: number;
}

/** Seldom enough to cost an idle process next to nothing: each tick wakes it. */
const tickMs = 50;
const windowMs = 200;

type Listener = (pressure: Pressure) => void;

const listeners = new Set<Listener>();
let timer: NodeJS.Timeout | undefined;

/** Tells of every window until disposed of. One timer a process, however many listen. */
export function watchPressure(listener: Listener): Disposable {
  listeners.add(listener);
  timer ??= start();
  return {
    [Symbol.dispose]() {
      listeners.delete(listener);
      if (listeners.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    },
  };
}

function start(): NodeJS.Timeout {
  let lastMs = performance.now();
  let windowBeganMs = lastMs;
  let utilization = performance.eventLoopUtilization();
  let late = 0;
  let ticks = 0;
  return setInterval(() => {
    const nowMs = performance.now();
    late += Math.max(0, nowMs - lastMs - tickMs);
    ticks += 1;
    lastMs = nowMs;
    if (nowMs - windowBeganMs < windowMs) return;
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
    const { utilization: busyShare } = performance.eventLoopUtilization(utilization);
    utilization = performance.eventLoopUtilization();
    const pressure = { lagMs: late / ticks, busyShare, heapShare: used / limit };
    windowBeganMs = nowMs;
    late = 0;
    ticks = 0;
    for (const listener of listeners) listener(pressure);
  }, tickMs).unref();
}
