import { flushCompileCache } from "node:module";
import { setTimeout as pause } from "node:timers/promises";
import { Fault } from "@soldier/kernel/fault";
import { SettingsError } from "./settings.ts";

/** How long a start may still take when it is told to stop. */
const startLeftMs = 2_000;

/**
 * Runs a process: starts it, waits until it is told to stop, and lets it finish. Exits with 0; with
 * 1 and one sentence when it can't start.
 */
export async function main(start: () => Promise<AsyncDisposable>): Promise<void> {
  // Listened for from the beginning: told while it starts, it stops as soon as it has, or at once
  // when it waits for something (migrations, say): nothing has been let in yet.
  const told = untilToldToStop();
  try {
    const starting = start();
    const started = await Promise.race([starting, told.then(() => pause(startLeftMs))]);
    if (started === undefined) process.exit(0);
    await using _running = started;
    flushCompileCache(); // where one is kept, also for the start after a death
    await told;
  } catch (error) {
    startFailed(error);
  }
  // Whatever a library has left running must not keep a process that has finished.
  process.exit(0);
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
export function untilToldToStop(): Promise<void> {
  return new Promise((resolve) => {
    let told = false;
    const stop = (signal: NodeJS.Signals) => {
      if (told) process.exit(signal === "SIGINT" ? 130 : 143);
      told = true;
      resolve();
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
  });
}

/** Says in a sentence why the process can't go on, and exits with 1. */
export function startFailed(error: unknown): never {
  process.stderr.write(`${sentence(error)}\n`);
  process.exit(1);
}

/** A stack is for bugs; what an operator can mend is told in words. */
function sentence(error: unknown): string {
  if (error instanceof SettingsError || error instanceof Fault)
    return `Cannot start: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
