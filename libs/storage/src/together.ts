import { Fault } from "@soldier/kernel/fault";
import { storageFault } from "./faults.ts";

interface Asked<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Work that is asked for at the same moment, or while work of the same key is being done, is done in one
 * go. When that fails, it is done again one by one, so that an item that can't be done spoils no other;
 * but not while the database is away. The results are in the order of the items.
 */
export function together<Item, Result>(
  work: (key: string, items: readonly Item[]) => Promise<readonly Result[]>,
): (key: string, item: Item) => Promise<Result> {
  const waiting = new Map<string, Asked<Item, Result>[]>();

  async function go(key: string, asked: readonly Asked<Item, Result>[]): Promise<void> {
    const items = asked.map(({ item }) => item);
    try {
      const results = await work(key, items);
      for (const [at, result] of results.entries()) asked[at]?.resolve(result);
    } catch (error) {
      if (asked.length === 1 || isAway(error)) for (const { reject } of asked) reject(error);
      else for (const one of asked) await go(key, [one]);
    }
  }

  async function goOn(key: string, asked: Asked<Item, Result>[]): Promise<void> {
    while (asked.length > 0) await go(key, asked.splice(0));
    waiting.delete(key);
  }

  return (key, item) => {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const asked = waiting.get(key);
    if (asked) asked.push({ item, resolve, reject });
    else {
      const begun = [{ item, resolve, reject }];
      waiting.set(key, begun);
      // Events come several in a packet, and are read one by one.
      setImmediate(() => void goOn(key, begun));
    }
    return promise;
  };
}

function isAway(error: unknown): boolean {
  const fault = storageFault(error);
  return fault instanceof Fault && fault.kind === "unavailable";
}
