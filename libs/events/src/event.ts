import {
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  create,
  toBinary,
} from "@bufbuild/protobuf";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { traceparentOfNow } from "./tracing.ts";

/** Something that has happened, on its way to whoever follows it. */
export interface Event {
  /** UUIDv7. Deliveries repeat; the id doesn't, and every consumer is idempotent by it. */
  readonly id: string;
  /** "<thing>.<verb>", e.g. "turn.committed": what consumers ask for. */
  readonly topic: string;
  readonly tenantId: string;
  /** The topic's message in protobuf's binary form. */
  readonly payload: Uint8Array;
  /** W3C trace context of whoever caused it. */
  readonly traceparent?: string;
  readonly occurredAt: Date;
}

/** A topic's name and the message that it carries. */
export interface Topic<M extends DescMessage> {
  readonly name: string;
  readonly schema: M;
}

/** Names a topic: two lower-case words, a dot between. */
export function topic<M extends DescMessage>(name: string, schema: M): Topic<M> {
  domainOf(name);
  return { name, schema };
}

/** A new event on the topic, now part of the running trace, with a fresh id. */
export function newEvent<M extends DescMessage>(
  about: Topic<M>,
  tenantId: string,
  message: MessageInitShape<M>,
  occurredAt: Date,
): Event {
  const traceparent = traceparentOfNow();
  return {
    id: newId(),
    topic: about.name,
    tenantId,
    payload: toBinary(about.schema, create(about.schema, message)),
    ...(traceparent && { traceparent }),
    occurredAt,
  };
}

/** The message in an event. Throws the Fault "invalid" for bytes that are not such a message. */
export function messageOf<M extends DescMessage>(about: Topic<M>, event: Event): MessageShape<M> {
  try {
    return fromBinary(about.schema, event.payload);
  } catch (error) {
    const text = `event ${event.id} on ${event.topic} is no ${about.schema.typeName}`;
    throw new Fault("invalid", text, { cause: error, reason: "EVENT_MALFORMED" });
  }
}

/** The same, and undefined for bytes that are not such a message. */
export function readableOf<M extends DescMessage>(
  about: Topic<M>,
  event: Event,
): MessageShape<M> | undefined {
  try {
    return fromBinary(about.schema, event.payload);
  } catch {
    return undefined; // it is no message: see above
  }
}

/** "turn" of "turn.committed": one stream holds one domain. */
export function domainOf(topicName: string): string {
  const [, domain] = /^([a-z][a-z0-9_]*)\.[a-z][a-z0-9_]*$/.exec(topicName) ?? [];
  if (!domain) throw new Fault("invalid", `"${topicName}" is not a topic: use <thing>.<verb>`);
  return domain;
}

/** soldier.<thing>.<verb>.v1.<tenant> */
export function subjectOf(event: Pick<Event, "topic" | "tenantId">, root = "soldier"): string {
  return `${root}.${event.topic}.v1.${tenantToken(event.tenantId)}`;
}

/** The topic and tenant in a subject, or undefined for a subject of another shape. */
export function parseSubject(subject: string): { topic: string; tenantId: string } | undefined {
  const [, thing, verb, version, token, ...rest] = subject.split(".");
  if (!thing || !verb || version !== "v1" || !token || rest.length > 0) return undefined;
  return { topic: `${thing}.${verb}`, tenantId: tenantOfToken(token) };
}

/** A tenant as one token of a subject: as it is when it can be, else ~ and base64url. */
function tenantToken(tenantId: string): string {
  if (/^[A-Za-z0-9_-]+$/.test(tenantId)) return tenantId;
  return `~${Buffer.from(tenantId, "utf8").toString("base64url")}`;
}

function tenantOfToken(token: string): string {
  if (!token.startsWith("~")) return token;
  return Buffer.from(token.slice(1), "base64url").toString("utf8");
}
