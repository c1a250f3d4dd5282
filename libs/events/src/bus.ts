import { Fault } from "@soldier/kernel/fault";
import { type Log, silentLog } from "@soldier/kernel/log";
import { z } from "zod";
import type { Backoff } from "./backoff.ts";
import type { Event } from "./event.ts";
import { inProcessBus } from "./in-process.ts";
import { jetStreamBus } from "./jetstream.ts";

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

/**
 * Carries events from those who cause them to those who follow. The promises, for every
 * implementation, are in event-bus.contract.ts.
 */
export interface EventBus {
  /**
   * Resolves when the event is stored, or taken by every durable consumer: it can no longer be lost.
   * Publishing the same id again is harmless. Rejects with the Fault "unavailable" when the
   * broker can't be reached; whether it has stored the event is then unknown.
   */
  publish(event: Event, signal?: AbortSignal): Promise<void>;
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

/** The `[events]` table. */
export const eventsSettings = z.strictObject({
  /**
   * nats://user:password@host:port,... or tls://..., with JetStream; or inproc://name, to everyone in
   * this process. `inproc://name?consumers=a,b` publishes nothing before these have come.
   */
  url: z.string().regex(/^(nats|tls|inproc):\/\/[^/?]+/, "must be nats://…, tls://… or inproc://…"),
  /** The first word of every stream and subject, for deployments that share a broker. */
  root: z.string().regex(/^[a-z][a-z0-9_]*$/, "must be one word of a-z, 0-9 and _"),
  /** Copies that the broker keeps of each stream: 3 in a cluster. */
  replicas: z.int().min(1).max(5),
  /** How long streams keep an event, whether it was taken or not. */
  keep_hours: z
    .int()
    .min(1)
    .max(24 * 365),
  connect_timeout_ms: z.int().min(100).max(120_000),
});

export type EventsSettings = z.output<typeof eventsSettings>;

export interface OpenBusOptions {
  readonly settings: EventsSettings;
  /** Closes the consumers, after the handlers that run, and the connection when the service stops. */
  readonly opened: AsyncDisposableStack;
  readonly log?: Log;
  /**
   * Where this process' consumers put what they give up when the bus is in this process; see
   * deadLettersInto. Without one, publishing such an event rejects and it stays in the outbox.
   * JetStream has a stream for them.
   */
  readonly deadLetter?: DeadLetterSink;
}

/** Throws the Fault "unavailable", with a sentence for the operator, when the broker can't be reached. */
export async function openBus(options: OpenBusOptions): Promise<EventBus> {
  const { settings, opened, log = silentLog, deadLetter } = options;
  if (!settings.url.startsWith("inproc://")) return await jetStreamBus({ settings, opened, log });
  const url = new URL(settings.url);
  const awaited = url.searchParams.get("consumers")?.split(",").filter(Boolean) ?? [];
  const unknown = [...url.searchParams.keys()].filter((key) => key !== "consumers");
  if (unknown.length > 0) throw new Fault("invalid", `inproc:// knows no ${unknown.join(", ")}`);
  return inProcessBus({ name: url.hostname, awaited, deadLetter, opened, log });
}
