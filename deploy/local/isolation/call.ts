import {
  type DescMethod,
  type DescService,
  type Message,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { Fault } from "@soldier/kernel/fault";

/** What came of a call: every message of it, or the refusal. */
export type Answer =
  | { readonly kind: "answered"; readonly messages: readonly Message[] }
  | { readonly kind: "refused"; readonly fault: Fault };

type Send = (input: unknown, options: { signal: AbortSignal }) => unknown;

const patienceMs = 30_000;

/** Calls a method of any kind by its descriptor. Anything but a Fault is a bug, and thrown. */
export async function answerOf(
  clientOf: (service: DescService) => object,
  method: DescMethod,
  request: Message,
): Promise<Answer> {
  // A client has a function for each method of its service, of the kind that the descriptor says.
  const client = clientOf(method.parent) as Readonly<Record<string, Send>>;
  const send = client[method.localName];
  if (!send) throw new Error(`no client has ${method.name}`);
  const options = { signal: AbortSignal.timeout(patienceMs) };
  try {
    if (method.methodKind === "unary" || method.methodKind === "client_streaming")
      return { kind: "answered", messages: [(await send(request, options)) as Message] };
    const input = method.methodKind === "bidi_streaming" ? only(request) : request;
    const messages: Message[] = [];
    for await (const message of send(input, options) as AsyncIterable<Message>)
      messages.push(message);
    return { kind: "answered", messages };
  } catch (error) {
    if (error instanceof Fault) return { kind: "refused", fault: error };
    throw error;
  }
}

async function* only<T>(message: T): AsyncIterable<T> {
  yield message;
}

/** "NOT_FOUND", "OK" … for people. */
export function codeOf(answer: Answer): string {
  return answer.kind === "answered" ? "OK" : answer.fault.kind.replaceAll("-", "_").toUpperCase();
}

/** Everything that a caller is told, as JSON. */
export function toldIn(method: DescMethod, answer: Answer): string {
  if (answer.kind === "answered")
    return JSON.stringify(answer.messages.map((message) => toJson(method.output, message)));
  const { message, reason, fields, metadata, retryAfterMs } = answer.fault;
  return JSON.stringify({ message, reason, fields, metadata, retryAfterMs });
}

/** The same as it goes over the wire; for what JSON would hide in base64. */
export function wireOf(method: DescMethod, answer: Answer): string {
  if (answer.kind === "refused") return "";
  return answer.messages
    .map((message) => Buffer.from(toBinary(method.output, message)).toString("latin1"))
    .join("\n");
}
