import {
  jetstream,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
} from "@nats-io/jetstream";
import {
  connect,
  type ConnectionOptions,
  InvalidArgumentError,
  type NatsConnection,
} from "@nats-io/transport-node";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import type { EventBus, Receipt } from "./bus.ts";
import type { EventsSettings } from "./events-settings.ts";
import { type Event, subjectOf } from "./event.ts";
import { consumeTopic, listenTo, type Source } from "./jetstream-consumer.ts";
import { eraseEvents } from "./jetstream-erase.ts";
import { headersOf, idOf } from "./jetstream-message.ts";
import { isMissing, logOf, streams } from "./jetstream-streams.ts";
import { traced } from "./tracing.ts";
import { untilAborted } from "./until-aborted.ts";

export interface JetStreamOptions {
  readonly settings: EventsSettings;
  readonly opened: AsyncDisposableStack;
  readonly log: Log;
}

/** How long the broker may take to store an event. */
const storeTimeoutMs = 5_000;

/** A bus on NATS 2.9 or newer with JetStream. The connection comes back by itself, as often as needed. */
export async function jetStreamBus(options: JetStreamOptions): Promise<EventBus> {
  const { settings, opened, log } = options;
  const connection = await connected(settings);
  opened.defer(() => connection.close());
  const { root, replicas, keep_hours: keepHours } = settings;
  const deadLettersKeepHours = settings.dead_letters_keep_days * 24;
  const manager = await jetstreamManager(connection).catch((error: unknown) => {
    throw unreachable(settings, error);
  });
  const source: Source = {
    client: jetstream(connection),
    streams: streams({ manager, root, replicas, keepHours, deadLettersKeepHours }),
    root,
    log,
  };

  const returned = watchOutages(connection, log, () => source.streams.forget());

  return {
    publish: (event, signal) => untilAborted(store(source, event), signal),
    holds: (receipt, eventId) => holds(manager, receipt, eventId),
    returns: () => returned.count,
    erase: (erasing) =>
      eraseEvents({ manager, ...source }, erasing).catch((error: unknown) => {
        throw new Fault("unavailable", "events can't be erased now; try again", {
          cause: error,
          reason: "EVENTS_NOT_ERASED",
          retryAfterMs: 1_000,
        });
      }),

    async consume(consumption, handle) {
      if (!/^[A-Za-z0-9_-]+$/.test(consumption.consumer))
        throw new Fault("invalid", `"${consumption.consumer}" is not a consumer's name`);
      const ours = traced(consumption.consumer, handle, log);
      return await all(opened, consumption.topics, (topic) =>
        consumeTopic(source, consumption, topic, ours),
      );
    },

    broadcast(topics, handle) {
      const ours = traced("broadcast", handle, log);
      return all(opened, topics, (topic) => listenTo(source, topic, ours));
    },
  };
}

async function store({ client, streams: declared, root }: Source, event: Event): Promise<Receipt> {
  const subject = subjectOf(event, root);
  try {
    const log = await declared.logFor(event.topic);
    const headers = headersOf(event);
    const stored = await client.publish(subject, event.payload, {
      headers,
      timeout: storeTimeoutMs,
    });
    return { log, position: stored.seq };
  } catch (error) {
    throw storeFault(event, error, () => declared.forget());
  }
}

async function holds(
  manager: JetStreamManager,
  { log, position }: Receipt,
  eventId: string,
): Promise<boolean> {
  const [stream = ""] = log.split(" ");
  try {
    if (logOf(await manager.streams.info(stream)) !== log) return false;
    const message = await manager.streams.getMessage(stream, { seq: position });
    return message !== null && idOf(message) === eventId;
  } catch (error) {
    if (error instanceof JetStreamApiError && isMissing(error)) return false;
    throw new Fault("unavailable", "the broker can't be asked what it holds", {
      cause: error,
      reason: "NATS_UNAVAILABLE",
    });
  }
}

/** What is wrong with the event itself is "invalid" and stays so; all else may pass. */
function storeFault(event: Event, error: unknown, forget: () => void): Fault {
  if (error instanceof Fault) return error;
  const tooLarge =
    error instanceof InvalidArgumentError ||
    (error instanceof JetStreamApiError && /maximum (message|payload)/.test(error.message));
  if (tooLarge)
    return new Fault("invalid", `the broker takes no event of ${event.payload.length} bytes`, {
      cause: error,
      reason: "EVENT_REFUSED",
    });
  // Also when nobody answers on the subject: its stream is gone.
  if (!(error instanceof JetStreamApiError) || isMissing(error)) forget();
  return new Fault("unavailable", "the event was not stored; try again", {
    cause: error,
    reason: "EVENT_NOT_STORED",
    retryAfterMs: 1_000,
  });
}

export async function connected(settings: EventsSettings): Promise<NatsConnection> {
  const servers = settings.url.split(",");
  const [first = ""] = servers;
  const { username, password } = new URL(first);
  const options: ConnectionOptions = {
    servers: servers.map(
      (server) => new URL(server.includes("://") ? server : `nats://${server}`).host,
    ),
    ...(username && { user: decodeURIComponent(username), pass: decodeURIComponent(password) }),
    ...(first.startsWith("tls://") && { tls: {} }),
    timeout: settings.connect_timeout_ms,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    pingInterval: 10_000,
    // Else each publication makes errors beforehand, for their stacks.
    noAsyncTraces: true,
  };
  try {
    return await connect(options);
  } catch (error) {
    throw unreachable(settings, error);
  }
}

function unreachable(settings: EventsSettings, cause: unknown): Fault {
  const hosts = settings.url.split(",").map((server) => server.replace(/^.*[/@]/, ""));
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Fault(
    "unavailable",
    `NATS with JetStream at ${hosts.join(", ")} cannot be used (${why}); start it, or set [events] url`,
    { cause, reason: "NATS_UNAVAILABLE" },
  );
}

/** One line when it goes and one when it is back, and how often it has come back. */
function watchOutages(connection: NatsConnection, log: Log, back: () => void): { count: number } {
  const returned = { count: 0 };
  const watch = async () => {
    for await (const status of connection.status()) {
      const { type } = status;
      if (type === "disconnect") log.warn({}, "the event broker is away");
      if (type === "reconnect") {
        returned.count += 1;
        back(); // it may have lost its streams
        log.info({}, "the event broker is back");
      }
      if (type === "error") log.warn({ err: status.error }, "the event broker complains");
    }
  };
  watch().catch((error: unknown) => log.error({ err: error }, "watching the event broker ended"));
  return returned;
}

/** One for each topic; all are closed when one can't be opened, and with the bus at the latest. */
async function all(
  opened: AsyncDisposableStack,
  topics: readonly string[],
  open: (topic: string) => Promise<AsyncDisposable>,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  for (const topic of topics) stack.use(await open(topic));
  const whole = stack.move();
  opened.use(whole);
  return whole;
}
