import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@soldier/kernel/log";
import type { ErasureStore } from "../store/erasure-store.ts";
import { type Eraser, holdMs } from "./erase.ts";
import { erasuresOverdue } from "./erasure-metrics.ts";

export interface ResumeOptions {
  readonly store: Pick<ErasureStore, "due">;
  readonly eraser: Pick<Eraser, "goOn">;
  readonly pollMs: number;
  readonly log: Log;
}

/** Goes on with what was put off, or cut short in any process, until disposed. */
export function resumeErasures({ store, eraser, pollMs, log }: ResumeOptions): AsyncDisposable {
  const stopped = new AbortController();
  const isStopped = () => stopped.signal.aborted;

  async function run(): Promise<void> {
    while (!isStopped()) {
      try {
        const due = await store.due(atOnceMax, holdMs);
        erasuresOverdue.set(due.length);
        for (const erasure of due) if (!isStopped()) await eraser.goOn(erasure);
      } catch (error) {
        if (!isStopped()) log.warn({ err: error }, "erasures are held up; trying again");
      }
      await delay(pollMs, undefined, { signal: stopped.signal }).catch(() => {}); // stopped
    }
  }

  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await running;
    },
  };
}

const atOnceMax = 10;
