import { silentLog } from "@soldier/kernel/log";
import { register } from "prom-client";
import { expect, it, vi } from "vitest";
import { type Prunable, startPruning } from "./pruning.ts";

const soon = { log: silentLog, everyMs: 5, rowsMax: 100 };

/** A table with so many rows that are too old. */
function aged(table: string, old: number) {
  const pieces: number[] = [];
  const prune = async (rowsMax: number) => {
    const rows = Math.min(rowsMax, old);
    old -= rows;
    pieces.push(rows);
    return rows;
  };
  return { table, prune, pieces };
}

async function counted(metric: string, service: string, table: string): Promise<number> {
  const found = await register.getSingleMetric(metric)?.get();
  const of = found?.values.find(
    ({ labels }) => labels["service"] === service && labels["table"] === table,
  );
  return of?.value ?? 0;
}

it("removes all that is too old in one pass, a piece at a time, and counts it", async () => {
  const keys = aged("keys", 250);
  await using _pruning = startPruning({ ...soon, service: "a", tables: [keys] });
  await vi.waitFor(() => expect(keys.pieces).toContain(50));
  expect(keys.pieces.slice(0, 3)).toEqual([100, 100, 50]);
  expect(await counted("soldier_pruned_rows_total", "a", "keys")).toBe(250);
});

it("goes on with the next table, and comes back, when one fails", async () => {
  let tries = 0;
  const broken: Prunable = {
    table: "broken",
    prune: () => Promise.reject(new Error(`no ${++tries}`)),
  };
  const keys = aged("keys", 30);
  await using _pruning = startPruning({ ...soon, service: "b", tables: [broken, keys] });
  await vi.waitFor(() => expect(tries).toBeGreaterThan(1));
  expect(keys.pieces[0]).toBe(30);
  expect(await counted("soldier_pruning_failures_total", "b", "broken")).toBeGreaterThan(0);
});

it("leaves no piece behind that is still running when it is closed", async () => {
  let running = 0;
  let begun = 0;
  const slow: Prunable = {
    table: "slow",
    async prune(rowsMax) {
      begun += 1;
      running += 1;
      await new Promise((resolve) => setTimeout(resolve, 30));
      running -= 1;
      return rowsMax; // there is always more
    },
  };
  {
    await using _pruning = startPruning({ ...soon, service: "c", tables: [slow] });
    await vi.waitFor(() => expect(running).toBe(1));
  }
  expect(running).toBe(0);
  const then = begun;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(begun).toBe(then);
});
