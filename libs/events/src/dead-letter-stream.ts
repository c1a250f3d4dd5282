import {
  DeliverPolicy,
  jetstream,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
} from "@nats-io/jetstream";
import { Fault } from "@soldier/kernel/fault";
import type { EventsSettings } from "./events-settings.ts";
import { parseSubject } from "./event.ts";
import { connected } from "./jetstream.ts";
import { deadLetterOf, type KeptLetter, replayHeaders } from "./jetstream-message.ts";
import { deadLetterStreamName, isMissing } from "./jetstream-streams.ts";

/** What consumers have given up, as JetStream keeps it: for operators. */
export interface DeadLetterStream {
  /** The oldest first, at most so many. */
  list(filter: {
    readonly consumer?: string;
    readonly lettersMax: number;
  }): Promise<readonly KeptLetter[]>;
  /** Undefined when there is none of that number. */
  get(number: number): Promise<KeptLetter | undefined>;
  /**
   * Publishes the event once more, to all who follow its topic, and then removes the letter. Whoever
   * has had the event before takes no notice; whoever gave it up tries again.
   */
  replay(number: number): Promise<void>;
  /** Removes the letter for good. */
  drop(number: number): Promise<void>;
}

const patienceMs = 2_000;

/** Throws the Fault "unavailable" when the broker can't be reached, "invalid" when there is none. */
export async function openDeadLetters(
  settings: EventsSettings,
  opened: AsyncDisposableStack,
): Promise<DeadLetterStream> {
  if (settings.url.startsWith("inproc://"))
    throw new Fault(
      "invalid",
      "without NATS, dead letters lie in the table dead_letters of each service's schema; set [events] url to the broker",
      { reason: "NO_BROKER" },
    );
  const connection = await connected(settings);
  opened.defer(() => connection.close());
  const manager = await jetstreamManager(connection);
  const client = jetstream(connection);
  const stream = deadLetterStreamName(settings.root);

  async function get(number: number): Promise<KeptLetter | undefined> {
    return await orUndefined(async () => {
      const message = await manager.streams.getMessage(stream, { seq: number });
      return message === null ? undefined : deadLetterOf(number, message.header, message.data);
    });
  }

  async function found(number: number): Promise<KeptLetter> {
    const letter = await get(number);
    if (letter) return letter;
    throw new Fault("not-found", `there is no dead letter ${number}`, {
      reason: "DEAD_LETTER_NOT_FOUND",
    });
  }

  async function drop(number: number): Promise<void> {
    await found(number);
    await manager.streams.deleteMessage(stream, number, true);
  }

  return {
    async list({ consumer, lettersMax }) {
      const letters: KeptLetter[] = [];
      await orUndefined(async () => {
        let left = await messagesIn(manager, stream);
        if (left === 0) return undefined;
        const ordered = await client.consumers.get(stream, { deliver_policy: DeliverPolicy.All });
        for await (const message of await ordered.fetch({
          max_messages: left,
          expires: patienceMs,
        })) {
          left -= 1;
          const letter =
            message.headers && deadLetterOf(message.seq, message.headers, message.data);
          if (letter && (!consumer || letter.consumer === consumer)) letters.push(letter);
          if (left === 0 || letters.length >= lettersMax) break;
        }
        return undefined;
      });
      return letters;
    },
    get,
    async replay(number) {
      const { subject, payload, headers } = await found(number);
      if (!parseSubject(subject))
        throw new Fault("precondition", `dead letter ${number} is no event of ours: drop it`, {
          reason: "DEAD_LETTER_FOREIGN",
        });
      await client.publish(subject, payload, { headers: replayHeaders(headers) });
      await drop(number);
    },
    drop,
  };
}

async function messagesIn(manager: JetStreamManager, stream: string): Promise<number> {
  return (await manager.streams.info(stream)).state.messages;
}

/** Nothing was ever given up: then there is no stream. */
async function orUndefined<T>(ask: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    const noMessage = error instanceof JetStreamApiError && error.code === noMessageFound;
    if (noMessage || isMissing(error)) return undefined;
    throw error;
  }
}

const noMessageFound = 10_037;
