import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import {
  type Backoff,
  defaultAttemptsMax,
  defaultBackoff,
  isHopeless,
  defaultConcurrency,
  reasonOf,
} from "./backoff.ts";
import type { Consumption, DeadLetterSink, EventHandler } from "./bus.ts";
import { deadLetters } from "./consumer-metrics.ts";
import type { Event } from "./event.ts";
import { untilAborted } from "./until-aborted.ts";

/** Ids that a durable consumer remembers to have taken. Inboxes are what makes repeats harmless. */
const takenMax = 10_000;

interface Member {
  readonly consumption: Consumption;
  readonly handle: EventHandler;
  readonly deadLetter: DeadLetterSink | undefined;
  readonly log: Log;
  readonly closing: AbortController;
  readonly running: Set<Promise<void>>;
}

/** An event that a durable consumer has not taken yet. */
interface Pending {
  readonly event: Event;
  readonly settled: PromiseWithResolvers<void>;
  /** Publishers that wait for it; it is dropped when the last has left and no handler runs. */
  waiters: number;
  failed: number;
  busy: boolean;
}

/** One durable consumer's hold on one topic, with its members in this process. */
export interface Durable {
  readonly consumer: string;
  readonly topic: string;
  /** Resolves when the consumer is done with the event; waits while it has no member. */
  take(event: Event, signal: AbortSignal | undefined): Promise<void>;
  join(
    consumption: Consumption,
    handle: EventHandler,
    deadLetter: DeadLetterSink | undefined,
    log: Log,
  ): AsyncDisposable;
}

export function durable(consumer: string, topic: string): Durable {
  const members: Member[] = [];
  const pending = new Map<string, Pending>();
  const taken = new Set<string>();

  /** Gives what waits to members with a free hand, in turn. */
  function dispatch(): void {
    for (const one of pending.values()) {
      if (one.busy) continue;
      const at = members.findIndex(hasFreeHand);
      const [member] = at < 0 ? [] : members.splice(at, 1);
      if (!member) return;
      members.push(member);
      const work = deliver(member, one);
      member.running.add(work);
      void work.finally(() => {
        member.running.delete(work);
        dispatch();
      });
    }
  }

  async function deliver(member: Member, one: Pending): Promise<void> {
    one.busy = true;
    const { event } = one;
    const attempt = one.failed + 1;
    const { signal } = member.closing;
    try {
      await member.handle(event, { attempt, signal });
      done(one);
    } catch (error) {
      one.failed++;
      member.log.warn({ consumer, topic, event: event.id, attempt, err: error }, "an event failed");
      await afterFailure(member, one, error);
    }
  }

  async function afterFailure(member: Member, one: Pending, error: unknown): Promise<void> {
    const { attemptsMax = defaultAttemptsMax, backoff = defaultBackoff } = member.consumption;
    if ((one.failed >= attemptsMax || isHopeless(error)) && (await gaveUp(member, one, error)))
      return;
    waitThenRelease(one, backoff);
  }

  /** Whether the event is now somebody else's: its dead letter is kept, or its publisher knows. */
  async function gaveUp(member: Member, one: Pending, error: unknown): Promise<boolean> {
    const { event, failed: attempts } = one;
    if (!member.deadLetter) {
      drop(one, deadLetterFault(consumer, one, error));
      return true;
    }
    try {
      await member.deadLetter({ event, consumer, attempts, reason: reasonOf(error) });
      deadLetters.inc({ consumer, topic });
      member.log.error(
        { consumer, event: event.id, attempts },
        "an event went to the dead letters",
      );
      done(one);
      return true;
    } catch (failure) {
      member.log.error({ consumer, event: event.id, err: failure }, "a dead letter was not kept");
      return false;
    }
  }

  function waitThenRelease(one: Pending, backoff: Backoff): void {
    // Unreferenced: an event that waits is its publisher's reason to stay, not ours.
    void delay(backoff(one.failed), undefined, { ref: false }).then(() => {
      one.busy = false;
      if (one.waiters === 0) drop(one, new Fault("cancelled", "nobody waits for this event"));
      dispatch();
    });
  }

  function done(one: Pending): void {
    taken.add(one.event.id);
    if (taken.size > takenMax) for (const oldest of taken.values().take(1)) taken.delete(oldest);
    pending.delete(one.event.id);
    one.settled.resolve();
  }

  function drop(one: Pending, why: Fault): void {
    pending.delete(one.event.id);
    one.settled.reject(why);
  }

  return {
    consumer,
    topic,
    async take(event, signal) {
      if (taken.has(event.id)) return;
      const one = pending.get(event.id) ?? added(event);
      one.waiters++;
      dispatch();
      try {
        await untilAborted(one.settled.promise, signal);
      } finally {
        one.waiters--;
        if (one.waiters === 0 && !one.busy && pending.has(event.id))
          drop(one, new Fault("cancelled", "nobody waits for this event"));
      }
    },
    join(consumption, handle, deadLetter, log) {
      const closing = new AbortController();
      const member = {
        consumption,
        handle,
        deadLetter,
        log,
        closing,
        running: new Set<Promise<void>>(),
      };
      members.push(member);
      dispatch();
      return {
        async [Symbol.asyncDispose]() {
          closing.abort();
          const at = members.indexOf(member);
          if (at >= 0) members.splice(at, 1);
          await Promise.all(member.running);
        },
      };
    },
  };

  function added(event: Event): Pending {
    const one = {
      event,
      settled: Promise.withResolvers<void>(),
      waiters: 0,
      failed: 0,
      busy: false,
    };
    one.settled.promise.catch(() => {}); // its publishers may all have left
    pending.set(event.id, one);
    return one;
  }
}

function hasFreeHand({ running, consumption }: Member): boolean {
  return running.size < (consumption.concurrency ?? defaultConcurrency);
}

function deadLetterFault(consumer: string, { event, failed }: Pending, cause: unknown): Fault {
  const text = `${consumer} gave up event ${event.id} on ${event.topic} after ${failed} attempts`;
  return new Fault("precondition", text, { cause, reason: "EVENT_GIVEN_UP" });
}
