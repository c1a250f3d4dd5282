import type { Backoff } from "./backoff.ts";
import type { Event } from "./event.ts";

/** One delivery of an event to a handler. */
export interface Delivery {
  /** 1 for the first delivery; a repeat after a crash counts too. */
  readonly attempt: number;
  /** Aborts when the consumer is being closed. */
  readonly signal: AbortSignal;
}

/** Resolves when the event is dealt with for good. When it rejects, the event comes again. */
export type EventHandler = (event: Event, delivery: Delivery) => Promise<void>;

export interface Consumption {
  /** Durable name, e.g. "audit": its members, in whichever process, share the events. */
  readonly consumer: string;
  readonly topics: readonly string[];
  /** Handlers that may run at once in this process. Default 8. */
  readonly concurrency?: number;
  /** Deliveries until an event goes to the dead letters. Default 8, over about a minute. */
  readonly attemptsMax?: number;
  readonly backoff?: Backoff;
}

/** Why an event was given up by a consumer. */
export interface DeadLetter {
  readonly event: Event;
  readonly consumer: string;
  readonly attempts: number;
  readonly reason: string;
}

/** Keeps a dead letter for good, or rejects; then it is tried again. */
export type DeadLetterSink = (letter: DeadLetter) => Promise<void>;

/** Where a broker has stored an event. */
export interface Receipt {
  /** The broker's log, another one when it was made anew. */
  readonly log: string;
  /** Grows from event to event of one log. */
  readonly position: number;
}

/** Events of one tenant on one topic that are to be forgotten. */
export interface Erasing {
  readonly topic: string;
  readonly tenantId: string;
  readonly matches: (event: Event) => boolean;
}

export interface Erased {
  /** Events and dead letters that are gone. */
  readonly erased: number;
  /** Events that stay, since a durable consumer has not taken them yet: erase again later. */
  readonly pending: number;
}

/**
 * Carries events from those who cause them to those who follow. The promises, for every
 * implementation, are in event-bus.contract.ts.
 */
export interface EventBus {
  /**
   * Resolves when the event is stored, to where, or, without a broker, taken by every durable consumer.
   * Publishing the same id again is harmless. Rejects with the Fault "unavailable" when the
   * broker can't be reached; whether it has stored the event is then unknown.
   */
  publish(event: Event, signal?: AbortSignal): Promise<Receipt | undefined>;
  /**
   * Whether the event is still where its receipt says. A broker that came back with older data has
   * lost the end of its log. Rejects like publish.
   */
  holds(receipt: Receipt, eventId: string): Promise<boolean>;
  /**
   * Takes events out of the broker, dead letters among them, so that they can't be read or replayed.
   * Whoever publishes from an outbox takes them out of that first: what a broker has lost is
   * published again. Without a broker there is nothing to take out.
   */
  erase(erasing: Erasing): Promise<Erased>;
  /** Grows each time that the broker was away and is back: what it holds may be older then. */
  returns(): number;
  /**
   * Takes each event on the topics at least once, in no promised order: everything since the durable
   * consumer was first declared at the latest, also what was published while it was down. Each
   * event goes to one member. Disposing waits for the handlers that run.
   */
  consume(consumption: Consumption, handle: EventHandler): Promise<AsyncDisposable>;
  /**
   * Sees each event on the topics in every process, from now on, at least once while connected;
   * for caches. A handler that rejects is logged, the event is not repeated.
   */
  broadcast(topics: readonly string[], handle: EventHandler): Promise<AsyncDisposable>;
}
