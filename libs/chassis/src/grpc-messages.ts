import type { Readable } from "node:stream";
import {
  type DescMessage,
  type DescMethod,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { findTrailerError, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { Metadata, type ServiceError, type StatusObject } from "@grpc/grpc-js";

/** How messages of a type are written and read. */
export interface Codec {
  readonly serialize: (message: Message) => Buffer;
  readonly deserialize: (bytes: Buffer) => Message;
}

const codecs = new Map<DescMessage, Codec>();

export function codecOf(type: DescMessage): Codec {
  const known = codecs.get(type);
  if (known) return known;
  const codec: Codec = {
    serialize(message) {
      const bytes = toBinary(type, message);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    // A plain array, as over any other way: slice() of a Buffer's piece would be no copy.
    deserialize: ({ buffer, byteOffset, byteLength }) =>
      fromBinary(type, new Uint8Array(buffer, byteOffset, byteLength)),
  };
  codecs.set(type, codec);
  return codec;
}

export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

const detailsKey = "grpc-status-details-bin";

type HeadersInput = ConstructorParameters<typeof Headers>[0];

export function metadataOf(headers: HeadersInput): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of headers instanceof Headers ? headers : new Headers(headers))
    metadata.add(key, key.endsWith("-bin") ? Buffer.from(value, "base64") : value);
  return metadata;
}

export function addMetadata(headers: Headers, metadata: Metadata): Headers {
  for (const [key, values] of Object.entries(metadata.toJSON()))
    for (const value of values)
      headers.append(key, typeof value === "string" ? value : value.toString("base64"));
  return headers;
}

/** A failure with its details, as grpc-js sends it. */
export function statusOf(error: unknown): Pick<StatusObject, "code" | "details" | "metadata"> {
  const failure = ConnectError.from(error, Code.Internal);
  const metadata = metadataOf(failure.metadata);
  const details = setTrailerStatus(new Headers(), failure).get(detailsKey);
  if (details) metadata.set(detailsKey, Buffer.from(details, "base64"));
  // Both count as gRPC's specification does.
  return { code: failure.code as number, details: failure.rawMessage, metadata };
}

/** A failure that grpc-js received, or found itself. */
export function errorOf({ code, details, metadata }: ServiceError): ConnectError {
  const [bytes] = metadata.get(detailsKey);
  if (bytes instanceof Buffer) {
    const trailer = new Headers({
      "grpc-status": String(code),
      "grpc-message": encodeURIComponent(details),
      [detailsKey]: bytes.toString("base64"),
    });
    const told = findTrailerError(trailer);
    if (told) return told;
  }
  return new ConnectError(details, code as number); // the same numbers
}

/**
 * The messages of a grpc-js stream, taken only as fast as they are asked for. Unlike a stream's own
 * iterator it may begin after the stream has failed, and leaving it does not destroy the call.
 */
export function messagesOf(
  stream: Readable,
  failed: (error: Error) => unknown = (error) => error,
): AsyncIterable<Message> {
  let over = false;
  let failure: Error | undefined;
  let wake = () => {};
  stream.on("readable", () => wake());
  const end = () => {
    over = true;
    wake();
  };
  stream.on("end", end);
  stream.on("close", end);
  stream.on("cancelled", end);
  stream.on("error", (error: Error) => {
    failure = error;
    wake();
  });
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        for (;;) {
          const message: unknown = stream.read();
          // A codec of ours has made whatever comes out.
          if (message !== null) return { done: false, value: message as Message };
          if (failure) throw failed(failure);
          if (over) return { done: true, value: undefined };
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      },
      return: async () => ({ done: true, value: undefined }),
    }),
  };
}

/** Resolves when the stream takes more, or will never again. */
export function drained(stream: NodeJS.EventEmitter): Promise<void> {
  return new Promise((resolve) => {
    const events = ["drain", "close", "error", "cancelled", "finish"];
    const done = () => {
      for (const event of events) stream.removeListener(event, done);
      resolve();
    };
    for (const event of events) stream.on(event, done);
  });
}
