import { DeliverPolicy, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream";
import type { Erased, Erasing } from "./bus.ts";
import { parseSubject, subjectOf } from "./event.ts";
import { deadLetterOf, eventOf } from "./jetstream-message.ts";
import { deadLetterStreamName, isMissing, type Streams } from "./jetstream-streams.ts";

export interface Place {
  readonly manager: JetStreamManager;
  readonly client: JetStreamClient;
  readonly streams: Streams;
  readonly root: string;
}

const patienceMs = 2_000;

/** See EventBus.erase. What is removed is overwritten on the broker's disk. */
export async function eraseEvents(place: Place, erasing: Erasing): Promise<Erased> {
  const { topic, tenantId, matches } = erasing;
  const { manager, streams, root } = place;
  const stream = await streams.streamFor(topic);
  const taken = await takenUpTo(place, stream, topic);
  let [erased, pending] = [0, 0];
  const found: number[] = [];
  await readAll(place, stream, subjectOf({ topic, tenantId }, root), (message) => {
    const event = eventOf(message);
    if (event && matches(event)) found.push(message.seq);
  });
  for (const seq of found)
    if (seq > taken) pending++;
    else if (await manager.streams.deleteMessage(stream, seq, true)) erased++;
  return { erased: erased + (await eraseLetters(place, erasing)), pending };
}

async function eraseLetters(place: Place, { topic, tenantId, matches }: Erasing): Promise<number> {
  const stream = deadLetterStreamName(place.root);
  const found: number[] = [];
  try {
    await readAll(place, stream, undefined, (message) => {
      const letter = message.headers && deadLetterOf(message.seq, message.headers, message.data);
      const of = letter && parseSubject(letter.subject);
      if (!letter || of?.topic !== topic || of.tenantId !== tenantId) return;
      const { eventId: id, payload, occurredAt } = letter;
      if (matches({ id, topic, tenantId, payload, occurredAt: new Date(occurredAt) }))
        found.push(letter.number);
    });
  } catch (error) {
    if (isMissing(error)) return 0; // nothing was ever given up
    throw error;
  }
  for (const number of found) await place.manager.streams.deleteMessage(stream, number, true);
  return found.length;
}

/** Up to where each durable consumer of the topic is done: what lies behind it, nobody has to have any more. */
async function takenUpTo(place: Place, stream: string, topic: string): Promise<number> {
  let taken = Infinity;
  for await (const {
    config,
    num_pending,
    num_ack_pending,
    ack_floor,
  } of place.manager.consumers.list(stream)) {
    const follows = config.durable_name && config.filter_subject === `${place.root}.${topic}.v1.*`;
    if (!follows || (num_pending === 0 && num_ack_pending === 0)) continue;
    taken = Math.min(taken, ack_floor.stream_seq);
  }
  return taken;
}

type Message = Parameters<typeof eventOf>[0];

/** Every message on the subject that the stream holds now. */
async function readAll(
  { manager, client }: Place,
  stream: string,
  subject: string | undefined,
  see: (message: Message) => void,
): Promise<void> {
  const { state } = await manager.streams.info(stream);
  if (state.messages === 0) return;
  const ordered = await client.consumers.get(stream, {
    deliver_policy: DeliverPolicy.All,
    ...(subject !== undefined && { filter_subjects: subject }),
  });
  let left = (await ordered.info()).num_pending;
  while (left > 0) {
    const batch = await ordered.fetch({ max_messages: Math.min(left, 500), expires: patienceMs });
    let got = 0;
    for await (const message of batch) {
      got++;
      see(message);
    }
    if (got === 0) break; // what was pending has left the stream since
    left -= got;
  }
}
