import type { JsMsg } from "@nats-io/jetstream";
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import { type Event, parseSubject } from "./event.ts";

const idHeader = "Nats-Msg-Id";
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
  return message.header.get(idHeader);
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
  made.set("Soldier-Event-Id", message.headers?.get(idHeader) ?? "");
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
  const id = message.headers?.get(idHeader);
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
