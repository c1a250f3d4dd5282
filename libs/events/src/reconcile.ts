import { setTimeout as delay } from "node:timers/promises";
import type { Sql } from "postgres";
import type { EventBus } from "./bus.ts";
import { type Receipted, readReceipts, unpublish } from "./outbox-rows.ts";

/** Rows looked at in one go; relays publish side by side, so positions are a little out of order. */
const pageRows = 500;

/**
 * So many pages without a loss, one after the other, and what came before is believed to be there: more than
 * are published while what was lost is given back, or a relay that dies then would leave the rest behind.
 */
const heldPagesEnough = 400;

/** What was published last may not have been taken by all who follow: so many rows wait for nothing. */
const lastRows = 500;

/** The rest has mostly been taken, and must not keep anybody from new turns; */
const againPerSecond = 250;
/** but is not to be tidied away before its time comes. */
const againWithinSeconds = 600;

/**
 * Makes every published row wait again that the broker no longer holds, and returns how many: the last ones
 * at once, the others from the oldest on, a second's worth at a time. A broker loses the end of its log, or
 * all of it, after which a new one may have grown: so this looks back, page by page, well beyond what is
 * held. Given up by the signal, it is to be called again: what was lost is still found.
 */
export async function publishLostAgain(
  sql: Sql,
  bus: EventBus,
  signal: AbortSignal,
  pause = (ms: number): Promise<unknown> => delay(ms, undefined, { signal }),
): Promise<number> {
  let count = 0;
  let left = 0;
  let oldest: string | undefined;
  let heldPages = 0;
  for (let before: string | undefined; heldPages < heldPagesEnough;) {
    signal.throwIfAborted();
    const page = await readReceipts(sql, pageRows, { before });
    const lost = await lostOf(page, bus);
    heldPages = lost.length === 0 ? heldPages + 1 : 0;
    if (lost.length > 0 && count < lastRows) {
      await unpublish(sql, lost);
      count += lost.length;
    } else if (lost.length > 0) {
      left += lost.length;
      oldest = page.at(-1)?.seq;
    }
    before = page.at(-1)?.seq;
    if (page.length < pageRows) break;
  }
  const perSecond = Math.max(againPerSecond, Math.ceil(left / againWithinSeconds));
  for (let from = oldest; from !== undefined;) {
    signal.throwIfAborted();
    const page = await readReceipts(sql, perSecond, { from });
    const lost = await lostOf(page, bus);
    await unpublish(sql, lost);
    count += lost.length;
    from = page.length < perSecond ? undefined : page.at(-1)?.seq;
    if (lost.length > 0) await pause(1_000);
  }
  return count;
}

async function lostOf(page: readonly Receipted[], bus: EventBus): Promise<readonly Receipted[]> {
  const logs = [...Map.groupBy(page, ({ receipt }) => receipt.log).values()];
  return (await Promise.all(logs.map((rows) => lostOfLog(rows, bus)))).flat();
}

/**
 * Rows at places one after the other were published together, and are judged by the first and the last of
 * them. Where rows were given back to a log that has lost its end, they stand among rows whose places it has
 * given to others since: those are such stretches of their own, unless two rows claim one place.
 */
async function lostOfLog(rows: readonly Receipted[], bus: EventBus): Promise<readonly Receipted[]> {
  const sorted = rows.toSorted((a, b) => a.receipt.position - b.receipt.position);
  const stretches: Receipted[][] = [];
  for (const [at, row] of sorted.entries()) {
    const step = row.receipt.position - (sorted[at - 1]?.receipt.position ?? 0);
    if (at > 0 && step === 0) return await notHeld(sorted, bus);
    if (at > 0 && step === 1) stretches.at(-1)?.push(row);
    else stretches.push([row]);
  }
  return (await Promise.all(stretches.map((stretch) => lostOfStretch(stretch, bus)))).flat();
}

async function lostOfStretch(rows: readonly Receipted[], bus: EventBus) {
  const ends = rows.filter((_, at) => at === 0 || at === rows.length - 1);
  const lost = await notHeld(ends, bus);
  if (lost.length === 0) return [];
  return lost.length === ends.length ? rows : await notHeld(rows, bus);
}

async function notHeld(rows: readonly Receipted[], bus: EventBus): Promise<readonly Receipted[]> {
  const held = await Promise.all(rows.map((row) => bus.holds(row.receipt, row.eventId)));
  return rows.filter((_, at) => !held[at]);
}
