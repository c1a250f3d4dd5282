import { createHash } from "node:crypto";
import { isRecord, type Json, type JsonRecord } from "./json.ts";

/** SHA-256 of the arguments, whatever order their names came in. */
export function argumentsHash(values: JsonRecord): Uint8Array<ArrayBuffer> {
  return new Uint8Array(
    createHash("sha256")
      .update(JSON.stringify(sorted(values)))
      .digest(),
  );
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, each]) => [name, sorted(each)]));
}
