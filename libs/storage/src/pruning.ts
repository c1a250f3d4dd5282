import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@soldier/kernel/log";
import { Counter } from "prom-client";

/** A table whose rows are kept for a time only. */
export interface Prunable {
  readonly table: string;
  /** Removes at most so many rows that are too old; resolves with how many. */
  readonly prune: (rowsMax: number) => Promise<number>;
}

export interface PruningOptions {
  /** Whose tables they are, e.g. "session": a label of the metrics. */
  readonly service: string;
  readonly tables: readonly Prunable[];
  readonly log: Log;
  /** From one pass to the next. Default ten minutes. */
  readonly everyMs?: number;
  /** Rows removed by one statement, so that none holds locks or the disk for long. Default 5,000. */
  readonly rowsMax?: number;
}

/** Between two pieces: turns go first. */
const betweenMs = 50;

const pruned = new Counter({
  name: "soldier_pruned_rows_total",
  help: "Rows that were removed since they were kept for long enough",
  labelNames: ["service", "table"],
});

const failures = new Counter({
  name: "soldier_pruning_failures_total",
  help: "Passes over a table that failed; the next pass goes on",
  labelNames: ["service", "table"],
});

/**
 * Removes what tables need not keep any more, in pieces, from time to time, until disposed. Any number of
 * replicas may do so at once: they begin at different times, and a row that is gone is gone.
 */
export function startPruning(options: PruningOptions): AsyncDisposable {
  const { service, tables, log, everyMs = 600_000, rowsMax = 5_000 } = options;
  const closing = new AbortController();
  // Told from the start: what is not there yet can't be seen to grow.
  for (const { table } of tables)
    for (const metric of [pruned, failures]) metric.inc({ service, table }, 0);
  /** Ends early, without an error, when closing. */
  const pause = (ms: number) =>
    delay(ms, undefined, { signal: closing.signal, ref: false }).catch(() => undefined);

  async function tidy({ table, prune }: Prunable): Promise<void> {
    while (!closing.signal.aborted) {
      const rows = await prune(rowsMax);
      pruned.inc({ service, table }, rows);
      if (rows < rowsMax) return;
      await pause(betweenMs);
    }
  }

  async function run(): Promise<void> {
    await pause(everyMs * Math.random());
    while (!closing.signal.aborted) {
      for (const one of tables)
        await tidy(one).catch((error: unknown) => {
          failures.inc({ service, table: one.table });
          log.warn({ table: one.table, err: error }, "a table was not pruned this time");
        });
      await pause(everyMs);
    }
  }

  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
    },
  };
}
