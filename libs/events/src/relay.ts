import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "@soldier/kernel/fault";
import { type Log, silentLog } from "@soldier/kernel/log";
import type { Sql } from "postgres";
import { reasonOf } from "./backoff.ts";
import type { EventBus, Receipt } from "./bus.ts";
import {
  claim,
  markPublished,
  type OutboxRow,
  type PublishedRow,
  postpone,
  prunePublished,
  readBacklog,
  release,
  renew,
} from "./outbox-rows.ts";
import { publishLostAgain } from "./reconcile.ts";
import { backlog, failed, oldestAge, published, republished } from "./relay-metrics.ts";

export interface RelayOptions {
  readonly sql: Sql;
  readonly bus: EventBus;
  /** Whose outbox it is, e.g. "session": a label of the metrics. */
  readonly name: string;
  readonly log?: Log;
  /** How often to look for what nobody poked for: other processes' rows, and what failed. Default 250. */
  readonly pollMs?: number;
  /** How long published rows stay, for a broker that has lost events. Default one hour. */
  readonly keepPublishedMs?: number;
  /** Rows of a relay that died wait for so long at most. Default 15 s. */
  readonly claimMs?: number;
  /** Patience with one publication; consumers in this process may need it. Default 30 s. */
  readonly publishTimeoutMs?: number;
  /** How long closing waits for what is on its way. Default 5 s. */
  readonly closePatienceMs?: number;
}

export interface Relay extends AsyncDisposable {
  /** Publishes what has been committed now, rather than at the next poll. */
  poke(): void;
}

/** Rows on their way at once. */
const inFlightMax = 256;
const retryMaxMs = 300_000;
/** Longest that a published row waits for its mark, while all is well. */
const markWithinMs = 50;
/** After a look that has found all there is: what is committed meanwhile is taken together by the next. */
const restMs = 50;
/** For a broker or a database that is away: it isn't the row's fault, so the delay doesn't grow. */
const awayDelayMs = 1_000;
/** After so many refusals in a row the broker is away, and is asked for so many rows at a time. */
const awayAfter = 8;
const housekeepingMs = 10_000;
/** How soon a broker's return is noticed; nothing is asked while it stays. */
const reconcileMs = 500;
const pruneMax = 5_000;

/**
 * Publishes the rows of an outbox, each at least once, marked only after the bus has taken it. Any
 * number of relays may work on one outbox. A row that can't be published waits longer each time and
 * holds up no other. Disposing waits a while for what is on its way and gives back the rest.
 */
export function startRelay(options: RelayOptions): Relay {
  const { sql, bus, name, log = silentLog, pollMs = 250, claimMs = 15_000 } = options;
  const {
    keepPublishedMs = 3_600_000,
    publishTimeoutMs = 30_000,
    closePatienceMs = 5_000,
  } = options;
  const closing = new AbortController();
  const givingUp = new AbortController();
  /** By seq: when it was claimed or renewed. */
  const claims = new Map<string, number>();
  const sending = new Set<Promise<void>>();
  let poked = Promise.withResolvers<void>();
  /** Published, and claimed until they are marked; by seq. */
  const toMark = new Map<string, PublishedRow>();
  let markTimer: NodeJS.Timeout | undefined;
  let reconciledAt = -1;
  let refusedInRow = 0;
  const database = outage(log, name, "the outbox can't be reached");
  const broker = outage(log, name, "events can't be published now");

  async function relay(): Promise<void> {
    while (!closing.signal.aborted) {
      // Before the look, so that what is committed during it is looked for again.
      poked = Promise.withResolvers();
      const away = refusedInRow >= awayAfter;
      // Thousands of rows that all try again each second would keep the process from its work.
      if (away) await pause(awayDelayMs);
      const room = (away ? awayAfter : inFlightMax) - sending.size;
      const rows = room > 0 || toMark.size > 0 ? await claimed(Math.max(0, room)) : [];
      if (rows.length > 0) startAll(rows);
      if (room > 0 && rows.length === room) continue;
      if (room > 0) await pause(restMs);
      await pokedOrPolled();
    }
  }

  async function claimed(rowsMax: number): Promise<readonly OutboxRow[]> {
    const done = [...toMark.values()];
    try {
      const rows = await claim(sql, rowsMax, claimMs, done);
      database.over();
      marked(done);
      return rows;
    } catch (error) {
      database.met(error);
      await pause(awayDelayMs);
      return [];
    }
  }

  async function pokedOrPolled(): Promise<void> {
    const { promise, resolve } = poked;
    const timer = setTimeout(resolve, pollMs);
    await promise;
    clearTimeout(timer);
  }

  function startAll(rows: readonly OutboxRow[]): void {
    const patience = AbortSignal.any([AbortSignal.timeout(publishTimeoutMs), givingUp.signal]);
    for (const row of rows) start(row, patience);
  }

  function start(row: OutboxRow, patience: AbortSignal): void {
    claims.set(row.seq, performance.now());
    const work = send(row, patience);
    sending.add(work);
    void work.finally(() => {
      if (sending.size >= inFlightMax / 2) poked.resolve(); // there may be more than there was room for
      sending.delete(work);
      if (!toMark.has(row.seq)) claims.delete(row.seq);
    });
  }

  async function send(row: OutboxRow, patience: AbortSignal): Promise<void> {
    let receipt: Receipt | undefined;
    try {
      receipt = await bus.publish(row.event, patience);
    } catch (error) {
      return await putBack(row, error);
    }
    refusedInRow = 0;
    broker.over();
    published.inc({ outbox: name });
    markSoon({ seq: row.seq, receipt });
  }

  /** With the next look for rows, which is soon when there is much to do. */
  function markSoon(row: PublishedRow): void {
    toMark.set(row.seq, row);
    markTimer ??= setTimeout(() => {
      markTimer = undefined;
      if (toMark.size > 0) poked.resolve();
    }, markWithinMs).unref();
  }

  function marked(rows: readonly PublishedRow[]): void {
    for (const { seq } of rows) {
      toMark.delete(seq);
      claims.delete(seq);
    }
  }

  async function markRest(): Promise<void> {
    if (toMark.size === 0) return;
    try {
      await markPublished(sql, [...toMark.values()]);
    } catch (error) {
      // They are published again when their claims end, by the same ids: harmless.
      log.warn({ outbox: name, rows: toMark.size, err: error }, "published rows were not marked");
    }
  }

  async function putBack(row: OutboxRow, error: unknown): Promise<void> {
    const { seq, attempts, event } = row;
    try {
      if (givingUp.signal.aborted) return await release(sql, [seq]);
      failed.inc({ outbox: name });
      const away = error instanceof Fault && error.kind === "unavailable";
      const waitMs = away ? awayDelayMs : Math.min(1_000 * 2 ** attempts, retryMaxMs);
      const facts = { outbox: name, topic: event.topic, event: event.id, attempts, waitMs };
      if (away) refusedInRow += 1;
      if (away) broker.met(error);
      else log.warn({ ...facts, err: error }, "an event was not published");
      await postpone(sql, [seq], waitMs, reasonOf(error));
    } catch (failure) {
      log.warn({ outbox: name, event: event.id, err: failure }, "a claim was left to run out");
    }
  }

  const isClosing = () => closing.signal.aborted;

  /** Every so often, until closed; a failure is logged and the next time comes. */
  async function regularly(everyMs: number, what: string, work: () => Promise<void>) {
    while (!closing.signal.aborted) {
      try {
        await work();
      } catch (error) {
        if (isClosing()) return; // given up for that
        log.warn({ outbox: name, err: error }, what);
      }
      await pause(everyMs);
    }
  }

  async function renewClaims(): Promise<void> {
    const now = performance.now();
    const old = [...claims].filter(([, since]) => now - since > claimMs / 3).map(([seq]) => seq);
    if (old.length === 0) return;
    await renew(sql, old, claimMs);
    for (const seq of old) if (claims.has(seq)) claims.set(seq, now);
  }

  /** At the start and each time that the broker is back: it may have come back with older data. */
  async function reconcile(): Promise<void> {
    const returns = bus.returns();
    if (returns === reconciledAt) return;
    const count = await publishLostAgain(sql, bus, closing.signal);
    reconciledAt = returns;
    if (count === 0) return;
    republished.inc({ outbox: name }, count);
    log.warn(
      { outbox: name, events: count },
      "the broker has lost events; they are published again",
    );
    poked.resolve();
  }

  async function keepHouse(): Promise<void> {
    const { count, oldestSeconds } = await readBacklog(sql);
    backlog.set({ outbox: name }, count);
    oldestAge.set({ outbox: name }, oldestSeconds);
    while ((await prunePublished(sql, keepPublishedMs, pruneMax)) === pruneMax)
      if (closing.signal.aborted) return;
  }

  /** Ends early, without an error, when the relay closes. */
  const pause = (ms: number) =>
    delay(ms, undefined, { signal: closing.signal }).catch(() => undefined);

  const loops = Promise.all([
    relay(),
    regularly(claimMs / 3, "claims were not renewed", renewClaims),
    regularly(reconcileMs, "what the broker holds was not compared", reconcile),
    regularly(housekeepingMs, "the outbox was not tidied", keepHouse),
  ]);

  return {
    poke: () => poked.resolve(),
    async [Symbol.asyncDispose]() {
      closing.abort();
      poked.resolve();
      await loops;
      const patience = new AbortController();
      const enough = delay(closePatienceMs, undefined, { signal: patience.signal }).catch(() => {});
      await Promise.race([Promise.all(sending), enough]);
      patience.abort();
      givingUp.abort();
      await Promise.all(sending);
      await markRest();
    },
  };
}

/** One line when something goes and one when it is back, however often it is met between. */
function outage(log: Log, outbox: string, what: string) {
  let met = false;
  return {
    met(error: unknown) {
      if (!met) log.warn({ outbox, err: error }, what);
      met = true;
    },
    over() {
      if (met) log.info({ outbox }, `no longer: ${what}`);
      met = false;
    },
  };
}
