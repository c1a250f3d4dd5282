import { Fault } from "@soldier/kernel/fault";

/** What a part gave, or the reason of the fault that it was given up for. */
export type Tried<T> =
  | { readonly value: T; readonly fault?: never }
  | { readonly value?: never; readonly fault: Fault };

/**
 * Runs a part that a turn can do without. A fault of the part is given back; bugs fly, and so does
 * everything once nobody waits for the turn any more.
 */
export async function tried<T>(run: () => Promise<T>, caller: AbortSignal): Promise<Tried<T>> {
  try {
    return { value: await run() };
  } catch (error) {
    caller.throwIfAborted();
    if (error instanceof Fault) return { fault: error };
    throw error;
  }
}
