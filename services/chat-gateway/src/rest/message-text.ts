import { type DescMessage, type JsonObject, type Message, toJson } from "@bufbuild/protobuf";

/** A message as proto JSON, with empty fields too: callers find every name that there is. */
export function messageJson(schema: DescMessage, message: Message): JsonObject {
  // Requests and responses are no well-known types, so their JSON is an object.
  return toJson(schema, message, { alwaysEmitImplicit: true }) as JsonObject;
}
