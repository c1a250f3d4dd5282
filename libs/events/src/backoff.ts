import { Fault } from "@soldier/kernel/fault";

/** Milliseconds to wait before the next attempt, by the number of attempts that failed. */
export type Backoff = (failed: number) => number;

/** 0.5 s, 1 s, 2 s ... half a minute: eight attempts span about a minute. */
export const defaultBackoff: Backoff = (failed) => Math.min(500 * 2 ** (failed - 1), 30_000);

export const defaultAttemptsMax = 8;
export const defaultConcurrency = 8;

/** Whether no further attempt can succeed: bytes that are no message stay what they are. */
export function isHopeless(error: unknown): boolean {
  return error instanceof Fault && error.reason === "EVENT_MALFORMED";
}

/** One line that says why something failed, for whoever looks at a dead letter. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.replaceAll(/\s+/g, " ").slice(0, 500);
}
