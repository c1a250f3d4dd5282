import {
  type DescMessage,
  fromBinary,
  isFieldSet,
  type MessageInitShape,
  type MessageShape,
  create,
  toBinary,
} from "@bufbuild/protobuf";
import { checkedMessage, withChecksum } from "@soldier/kernel/checksum";
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
export interface Topic<M extends DescMessage, C extends FieldOf<M> = FieldOf<M>> {
  readonly name: string;
  readonly schema: M;
  /** The field without which such a message says nothing. */
  readonly core: C;
}

type FieldOf<M extends DescMessage> = keyof MessageShape<M> & string;

/** A topic's message, of which one field is known to be there. */
export type Told<M extends DescMessage, C extends FieldOf<M>> = MessageShape<M> & {
  readonly [F in C]-?: NonNullable<MessageShape<M>[F]>;
};

/** Names a topic: two lower-case words, a dot between. */
export function topic<M extends DescMessage, C extends FieldOf<M>>(
  name: string,
  schema: M,
  core: C,
): Topic<M, C> {
  domainOf(name);
  return { name, schema, core };
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
    payload: withChecksum(toBinary(about.schema, create(about.schema, message))),
    ...(traceparent && { traceparent }),
    occurredAt,
  };
}

/** The message in an event. Throws the Fault "invalid" for bytes that are not such a message, or not all of it. */
export function messageOf<M extends DescMessage, C extends FieldOf<M>>(
  about: Topic<M, C>,
  event: Event,
): Told<M, C> {
  try {
    return wholeMessage(about, event);
  } catch (error) {
    const text = `event ${event.id} on ${event.topic} is no ${about.schema.typeName}`;
    throw new Fault("invalid", text, { cause: error, reason: "EVENT_MALFORMED" });
  }
}

/** The same, and undefined for bytes that are not such a message. */
export function readableOf<M extends DescMessage, C extends FieldOf<M>>(
  about: Topic<M, C>,
  event: Event,
): Told<M, C> | undefined {
  try {
    return wholeMessage(about, event);
  } catch {
    return undefined; // it is no message: see above
  }
}

function wholeMessage<M extends DescMessage, C extends FieldOf<M>>(
  { schema, core }: Topic<M, C>,
  { payload }: Event,
): Told<M, C> {
  const message = fromBinary(schema, checkedMessage(payload));
  const field = schema.fields.find(({ localName }) => localName === core);
  if (field && !isFieldSet(message, field)) throw new Error(`it has no ${field.name}`);
  return message as Told<M, C>; // as was just seen
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
