import { Fault } from "@soldier/kernel/fault";
import { SettingsError } from "./settings.ts";

/**
 * Runs a process: starts it, waits until it is told to stop, and lets it finish. Exits with 0; with
 * 1 and one sentence when it can't start.
 */
export async function main(start: () => Promise<AsyncDisposable>): Promise<void> {
  // Listened for from the beginning: told while it starts, it stops as soon as it has.
  const told = untilToldToStop();
  try {
    await using _running = await start();
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
