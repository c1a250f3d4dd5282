import { fromJson, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";

export type Json = JsonValue;
export type JsonRecord = JsonObject;

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The plain value in a protobuf Value; an unset one is undefined. */
export function jsonOf(value: Value | undefined): Json | undefined {
  return value === undefined || value.kind.case === undefined
    ? undefined
    : toJson(ValueSchema, value);
}

export function valueOf(json: Json): Value {
  return fromJson(ValueSchema, json);
}

/** What lies at a path of names and positions, e.g. ["order", "items", "0"]; undefined when nothing. */
export function at(value: Json | undefined, path: readonly string[]): Json | undefined {
  let here: Json | undefined = value;
  for (const segment of path) {
    if (Array.isArray(here)) here = /^\d+$/.test(segment) ? here[Number(segment)] : undefined;
    else if (isRecord(here)) here = Object.hasOwn(here, segment) ? here[segment] : undefined;
    else return undefined;
  }
  return here;
}
