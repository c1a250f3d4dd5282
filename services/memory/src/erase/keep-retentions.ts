import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@soldier/kernel/log";
import type { RetentionStore } from "../store/retention-store.ts";
import type { Eraser } from "./erase.ts";

export interface KeepRetentionsOptions {
  readonly retentions: Pick<RetentionStore, "expired">;
  readonly eraser: Pick<Eraser, "erase">;
  readonly pollMs: number;
  readonly now: () => Date;
  readonly log: Log;
}

/** Erases what agents keep no longer, until disposed: as any erasure, with a certificate, each day anew. */
export function keepRetentions(options: KeepRetentionsOptions): AsyncDisposable {
  const { retentions, eraser, pollMs, now, log } = options;
  const stopped = new AbortController();
  const isStopped = () => stopped.signal.aborted;

  async function run(): Promise<void> {
    while (!isStopped()) {
      try {
        for (const { tenantId, agentId, before } of await retentions.expired(now())) {
          if (isStopped()) return;
          await eraser.erase({ tenantId, askedBy }, { kind: "expired", agentId, before });
        }
      } catch (error) {
        if (!isStopped()) log.warn({ err: error }, "retention is held up; trying again");
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

/** Who is told to have asked. */
const askedBy = "retention";
