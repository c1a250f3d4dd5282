import type { JsMsg } from "@nats-io/jetstream";
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import { newId } from "@soldier/kernel/ids";
import { type Event, parseSubject } from "./event.ts";

/** The broker's own: it takes the same id once, within a while. */
const idHeader = "Nats-Msg-Id";
/** The event's id, where the broker is told another one: in dead letters and what is replayed of them. */
const eventIdHeader = "Soldier-Event-Id";
const occurredAtHeader = "Soldier-Occurred-At";
const traceparentHeader = "traceparent";

export function headersOf(event: Event): MsgHdrs {
  const made = headers();
  made.set(idHeader, event.id);
  made.set(occurredAtHeader, event.occurredAt.toISOString());
  if (event.traceparent) made.set(traceparentHeader, event.traceparent);
  return made;
}

/** The id of the event in a message; empty for one that isn't ours. */
export function idOf(message: { readonly header: MsgHdrs }): string {
  return message.header.get(eventIdHeader) || message.header.get(idHeader);
}

/** The headers of a message that a consumer gives up: its own, and why. */
export function deadLetterHeaders(
  message: JsMsg,
  { consumer, attempts, reason }: { consumer: string; attempts: number; reason: string },
): MsgHdrs {
  const made = headers();
  for (const key of message.headers?.keys() ?? [])
    for (const value of message.headers?.values(key) ?? []) made.append(key, value);
  // One event may die in several consumers, and again after it was replayed.
  made.set(idHeader, `${consumer} ${message.info.stream} ${message.seq} ${attempts}`);
  made.set(eventIdHeader, message.headers ? idOf({ header: message.headers }) : "");
  made.set("Soldier-Subject", message.subject);
  made.set("Soldier-Consumer", consumer);
  made.set("Soldier-Attempts", String(attempts));
  // A header is ASCII and one line.
  made.set("Soldier-Reason", reason.replaceAll(/[^\x20-\x7e]/g, "?"));
  return made;
}

/** The event in a message, or undefined for one that isn't ours. */
export function eventOf(message: JsMsg): Event | undefined {
  const subject = parseSubject(message.subject);
  const id = message.headers && idOf({ header: message.headers });
  const occurredAt = new Date(message.headers?.get(occurredAtHeader) ?? "");
  if (!subject || !id || Number.isNaN(occurredAt.getTime())) return undefined;
  const traceparent = message.headers?.get(traceparentHeader);
  return {
    id,
    ...subject,
    payload: message.data,
    ...(traceparent && { traceparent }),
    occurredAt,
  };
}

/** A dead letter as the broker keeps it. */
export interface KeptLetter {
  /** Its place in the stream of dead letters. */
  readonly number: number;
  readonly eventId: string;
  readonly consumer: string;
  /** Where the event was published. */
  readonly subject: string;
  readonly attempts: number;
  readonly reason: string;
  readonly occurredAt: string;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs;
}

export function deadLetterOf(number: number, said: MsgHdrs, payload: Uint8Array): KeptLetter {
  return {
    number,
    eventId: said.get(eventIdHeader),
    consumer: said.get("Soldier-Consumer"),
    subject: said.get("Soldier-Subject"),
    attempts: Number(said.get("Soldier-Attempts")),
    reason: said.get("Soldier-Reason"),
    occurredAt: said.get(occurredAtHeader),
    payload,
    headers: said,
  };
}

/** The event's own headers again, under an id that the broker has not had. */
export function replayHeaders(letter: MsgHdrs): MsgHdrs {
  const made = headers();
  for (const key of [eventIdHeader, occurredAtHeader, traceparentHeader])
    if (letter.get(key)) made.set(key, letter.get(key));
  made.set(idHeader, newId());
  return made;
}
