import type { Sql } from "postgres";
import type { EventBus } from "./bus.ts";
import { type Receipted, readReceipts, unpublish } from "./outbox-rows.ts";

/** Rows looked at in one go; relays publish side by side, so positions are a little out of order. */
const pageRows = 500;

/** So many pages without a loss, one after the other, and what came before is believed to be there. */
const heldPagesEnough = 20;

/**
 * Makes every published row wait again that the broker no longer holds, and returns how many. A
 * broker loses the end of its log, or all of it, after which a new one may have grown: so this looks
 * back, page by page, well beyond what is held.
 */
export async function publishLostAgain(sql: Sql, bus: EventBus): Promise<number> {
  let count = 0;
  let heldPages = 0;
  let before: string | undefined;
  while (heldPages < heldPagesEnough) {
    const page = await readReceipts(sql, pageRows, before);
    const lost = await lostOf(page, bus);
    await unpublish(
      sql,
      lost.map(({ seq }) => seq),
    );
    count += lost.length;
    heldPages = lost.length === 0 ? heldPages + 1 : 0;
    before = page.at(-1)?.seq;
    if (page.length < pageRows) break;
  }
  return count;
}

/** Of each log: all that came after the last one that is held. */
async function lostOf(page: readonly Receipted[], bus: EventBus): Promise<readonly Receipted[]> {
  const logs = [...Map.groupBy(page, ({ receipt }) => receipt.log).values()];
  const lost = await Promise.all(
    logs.map(async (rows) => {
      const sorted = rows.toSorted((a, b) => a.receipt.position - b.receipt.position);
      return sorted.slice(await heldCount(sorted, bus));
    }),
  );
  return lost.flat();
}

/** How many from the first on are held, found by halving: what is lost is the end. */
async function heldCount(sorted: readonly Receipted[], bus: EventBus): Promise<number> {
  let held = 0;
  let end = sorted.length;
  const last = sorted.at(-1);
  if (last && (await bus.holds(last.receipt, last.eventId))) held = end;
  while (held < end) {
    const middle = Math.floor((held + end) / 2);
    const row = sorted[middle];
    if (row && (await bus.holds(row.receipt, row.eventId))) held = middle + 1;
    else end = middle;
  }
  return held;
}
