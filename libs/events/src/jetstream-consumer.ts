import { setTimeout as delay } from "node:timers/promises";
import {
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamClient,
  type JsMsg,
} from "@nats-io/jetstream";
import type { Log } from "@soldier/kernel/log";
import {
  defaultAttemptsMax,
  defaultBackoff,
  defaultConcurrency,
  isHopeless,
  reasonOf,
} from "./backoff.ts";
import type { Consumption, EventHandler } from "./bus.ts";
import { deadLetters, pending } from "./consumer-metrics.ts";
import type { Event } from "./event.ts";
import { deadLetterHeaders, eventOf } from "./jetstream-message.ts";
import { ackWaitMs, type Streams } from "./jetstream-streams.ts";

export interface Source {
  readonly client: JetStreamClient;
  readonly streams: Streams;
  readonly root: string;
  readonly log: Log;
}

/** After a consumer has ended for want of its stream, say, until it is declared again. */
const resumeDelayMs = 500;

/** Takes messages of one durable consumer on one topic until disposed, which waits for running handlers. */
export async function consumeTopic(
  source: Source,
  consumption: Consumption,
  topic: string,
  handle: EventHandler,
): Promise<AsyncDisposable> {
  const { streams, client } = source;
  const { consumer, concurrency = defaultConcurrency } = consumption;
  return await keepReading(source, `${consumer} on ${topic}`, {
    concurrency,
    async open() {
      const { stream, name } = await streams.durableFor(consumer, topic);
      const pull = await client.consumers.get(stream, name);
      // Never more than there are hands: what waits here would be delivered again meanwhile.
      return async (free) => await pull.fetch({ max_messages: free, ...patience });
    },
    take: (message, signal) => takeOne(source, consumption, message, handle, signal),
  });
}

/** Sees each message on one topic from now on; resumes after the last one seen when the connection was lost. */
export async function listenTo(
  source: Source,
  topic: string,
  handle: EventHandler,
): Promise<AsyncDisposable> {
  const { streams, client, root, log } = source;
  return await keepReading(source, `listener on ${topic}`, {
    concurrency: 1,
    async open() {
      const ordered = await client.consumers.get(await streams.streamFor(topic), {
        filter_subjects: `${root}.${topic}.v1.*`,
        deliver_policy: DeliverPolicy.New,
      });
      return async () => await ordered.consume({ ...patience, abort_on_missing_resource: true });
    },
    async take(message, signal) {
      const event = eventOf(message);
      if (!event) return;
      try {
        await handle(event, { attempt: 1, signal });
      } catch (error) {
        log.error({ topic, event: event.id, err: error }, "a listener failed");
      }
    },
  });
}

/** A lost server is noticed after two missed heartbeats. */
const patience = { expires: 10_000, idle_heartbeat: 2_000 };

/** The next messages, at most as many as there are free hands. */
type Next = (free: number) => Promise<ConsumerMessages>;

interface Reading {
  readonly concurrency: number;
  open(): Promise<Next>;
  /** Never rejects. */
  take(message: JsMsg, signal: AbortSignal): Promise<void>;
}

/** Reads until disposed; when reading ends for any other reason, declares and opens anew. */
async function keepReading(source: Source, what: string, work: Reading): Promise<AsyncDisposable> {
  const closing = new AbortController();
  const { signal } = closing;
  const isClosing = () => signal.aborted;
  const running = new Set<Promise<void>>();
  let next = await work.open();
  let messages: ConsumerMessages | undefined;

  async function read(): Promise<void> {
    while (!isClosing()) {
      messages = await next(work.concurrency - running.size);
      if (isClosing()) messages.stop(); // it was disposed before there was something to stop
      for await (const message of messages) {
        const one = work.take(message, signal);
        running.add(one);
        void one.finally(() => running.delete(one));
        if (running.size >= work.concurrency) await Promise.race(running);
      }
    }
  }

  async function readOn(): Promise<void> {
    while (!isClosing()) {
      try {
        await read();
      } catch (error) {
        if (!isClosing()) source.log.warn({ what, err: error }, "reading events ended");
      }
      if (!isClosing()) await reopen();
    }
  }

  async function reopen(): Promise<void> {
    try {
      await delay(resumeDelayMs, undefined, { signal });
      source.streams.forget();
      next = await work.open();
      source.log.info({ what }, "reading events again");
    } catch (error) {
      if (!isClosing()) source.log.debug({ what, err: error }, "not yet");
    }
  }

  const reader = readOn();
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      messages?.stop();
      await reader;
      await Promise.all(running);
    },
  };
}

async function takeOne(
  source: Source,
  consumption: Consumption,
  message: JsMsg,
  handle: EventHandler,
  signal: AbortSignal,
): Promise<void> {
  const { consumer, attemptsMax = defaultAttemptsMax, backoff = defaultBackoff } = consumption;
  const { deliveryCount: attempt, pending: left } = message.info;
  const event = eventOf(message);
  if (event) pending.set({ consumer, topic: event.topic }, left);
  if (!event) return await bury(source, consumer, message, "not an event of ours");
  // It has ended its consumer's process, or outlasted its patience, each time.
  if (attempt > attemptsMax) return await bury(source, consumer, message, "no answer");
  const working = setInterval(() => message.working(), ackWaitMs / 3);
  try {
    await handle(event, { attempt, signal });
    message.ack();
  } catch (error) {
    const facts = { consumer, topic: event.topic, event: event.id, attempt };
    source.log.warn({ ...facts, err: error }, "an event failed");
    if (attempt >= attemptsMax || isHopeless(error))
      await bury(source, consumer, message, reasonOf(error), event);
    else message.nak(backoff(attempt));
  } finally {
    clearInterval(working);
  }
}

/** Copies the message to the dead letters, then lets it go; if that fails it comes again. */
async function bury(
  { client, streams, root, log }: Source,
  consumer: string,
  message: JsMsg,
  reason: string,
  event?: Event,
): Promise<void> {
  const attempts = message.info.deliveryCount;
  const headers = deadLetterHeaders(message, { consumer, attempts, reason });
  try {
    await streams.deadLetterStream();
    const subject = `${root}_dead_letters.${consumer}.${event?.topic ?? "unknown"}`;
    await client.publish(subject, message.data, { headers });
    message.ack();
    deadLetters.inc({ consumer, topic: event?.topic ?? "unknown" });
    log.error({ consumer, event: event?.id, attempts }, "an event went to the dead letters");
  } catch (error) {
    log.error({ consumer, event: event?.id, err: error }, "a dead letter was not kept");
    message.nak(defaultBackoff(attempts));
  }
}
