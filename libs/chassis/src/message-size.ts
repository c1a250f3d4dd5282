import { tooLarge } from "./faults.ts";

/**
 * Refuses a message that is surely over the limit, so that a call inside one process meets the same limit
 * as one over the wire, where the transport holds the exact one.
 */
export function limited<T>(message: T, maxBytes: number): T {
  if (leastSizeBytes(message) > maxBytes) throw tooLarge();
  return message;
}

/** A lower bound of a message's size on the wire, at a fraction of the cost of writing it. */
export function leastSizeBytes(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 0;
  if (value instanceof Uint8Array) return value.byteLength;
  let size = 0;
  if (Array.isArray(value)) {
    for (const item of value) size += leastSizeBytes(item);
    return size;
  }
  // The name of a oneof's chosen field is not on the wire, nor is what begins with a dollar sign.
  const isOneof = !("$typeName" in value) && "case" in value && "value" in value;
  const fields = value as Readonly<Record<string, unknown>>;
  // Over keys: each message of each call passes here, and pairs of them would be garbage.
  for (const key of Object.keys(fields))
    if (!key.startsWith("$") && !(isOneof && key === "case")) size += leastSizeBytes(fields[key]);
  return size;
}
