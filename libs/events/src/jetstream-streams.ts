import {
  AckPolicy,
  DeliverPolicy,
  type JetStreamManager,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { domainOf } from "./event.ts";

/** How long the server waits for an ack, or a sign of work, before it delivers again. */
export const ackWaitMs = 30_000;

/** The broker forgets ids after so long; the inbox doesn't. */
const duplicateWindowMs = 120_000;

/** Not found, in the server's numbering. */
const consumerNotFound = 10_014;
const streamNotFound = 10_059;
const streamNameInUse = 10_058;

export interface Streams {
  /** The stream that holds the topic's domain, declared. */
  streamFor(topic: string): Promise<string>;
  /** The name of the topic's stream together with when it was made: another one is another log. */
  logFor(topic: string): Promise<string>;
  deadLetterStream(): Promise<string>;
  /** The durable consumer on one topic, declared; server 2.9 has one filter per consumer. */
  durableFor(consumer: string, topic: string): Promise<{ stream: string; name: string }>;
  /** After the broker said that something is missing: it will be declared again. */
  forget(): void;
}

export interface StreamsOptions {
  readonly manager: JetStreamManager;
  readonly root: string;
  readonly replicas: number;
  readonly keepHours: number;
  readonly deadLettersKeepHours: number;
}

/** Streams and consumers as our code wants them: made when absent, brought in line when not, once per process. */
export function streams(options: StreamsOptions): Streams {
  const { manager, root, replicas, keepHours, deadLettersKeepHours } = options;
  const declared = new Map<string, Promise<string>>();
  const logs = new Map<string, Promise<string>>();

  function stream(name: string, subject: string, hours: number): Promise<string> {
    const found = declared.get(name);
    if (found) return found;
    const made = declare(name, subject, hours);
    declared.set(name, made);
    made.catch(() => declared.delete(name));
    return made;
  }

  async function declare(name: string, subject: string, hours: number): Promise<string> {
    const config = {
      subjects: [subject],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      max_age: nanos(hours * 3_600_000),
      num_replicas: replicas,
      duplicate_window: nanos(duplicateWindowMs),
    } satisfies Partial<StreamConfig>;
    try {
      await manager.streams.add({ name, ...config });
    } catch (error) {
      // It exists with other limits, from other settings or an older version.
      if (!isApiError(error, streamNameInUse)) throw error;
      await manager.streams.update(name, config);
    }
    return name;
  }

  const streamFor = (topic: string) =>
    stream(`${root}_${domainOf(topic)}`, `${root}.${domainOf(topic)}.>`, keepHours);

  return {
    streamFor,
    async logFor(topic) {
      const name = await streamFor(topic);
      const found = logs.get(name);
      if (found) return found;
      const made = manager.streams.info(name).then(logOf);
      logs.set(name, made);
      made.catch(() => logs.delete(name));
      return made;
    },
    deadLetterStream: () =>
      stream(deadLetterStreamName(root), `${root}_dead_letters.>`, deadLettersKeepHours),
    async durableFor(consumer, topic) {
      const name = `${consumer}_${topic.replace(".", "_")}`;
      const inStream = await streamFor(topic);
      await manager.consumers.add(inStream, {
        durable_name: name,
        filter_subject: `${root}.${topic}.v1.*`,
        ack_policy: AckPolicy.Explicit,
        ack_wait: nanos(ackWaitMs),
        deliver_policy: DeliverPolicy.All,
        // Without end: we count, and keep a dead letter before the event leaves. The server would
        // just stop delivering.
        max_deliver: -1,
        max_ack_pending: 1_000,
      });
      return { stream: inStream, name };
    },
    forget() {
      declared.clear();
      logs.clear();
    },
  };
}

export function deadLetterStreamName(root: string): string {
  return `${root}_dead_letters`;
}

/** A stream's name and when it was made. */
export function logOf({ config, created }: Pick<StreamInfo, "config" | "created">): string {
  return `${config.name} ${created}`;
}

/** Whether the broker has lost, or never had, the stream or consumer. */
export function isMissing(error: unknown): boolean {
  return isApiError(error, consumerNotFound) || isApiError(error, streamNotFound);
}

function isApiError(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}
