import {
  type DescEnum,
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageShape,
  ScalarType,
} from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { nearest } from "@soldier/kernel/nearest";

/** One thing that keeps a JSON value from being the message it is meant to be. */
export interface JsonProblem {
  /** Names of fields as the contract spells them, keys of maps, indexes of lists. */
  readonly path: readonly (string | number)[];
  readonly description: string;
}

export type ReadMessage<T> =
  | { readonly message: T; readonly problems?: undefined }
  | { readonly message?: undefined; readonly problems: readonly JsonProblem[] };

/**
 * Reads a message as strictly as proto JSON does, but finds every problem and says where it is. An
 * enum's value may go without the enum's prefix: API for CHANNEL_API.
 */
export function readMessage<D extends DescMessage>(
  schema: D,
  json: JsonValue,
): ReadMessage<MessageShape<D>> {
  try {
    return { message: fromJson(schema, json) };
  } catch (error) {
    const problems: JsonProblem[] = [];
    const full = messageAt(schema, json, { path: [], problems });
    if (problems.length > 0) return { problems };
    return readFull(schema, full, error);
  }
}

/** `rules[2].checks[0].judge`, as in the violations that a service reports. */
export function pathText(path: JsonProblem["path"]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    if (!/^\w+$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text === "" ? part : `${text}.${part}`;
  }, "");
}

interface At {
  readonly path: JsonProblem["path"];
  readonly problems: JsonProblem[];
}

type Read = (json: JsonValue, at: At) => JsonValue;

function readFull<D extends DescMessage>(
  schema: D,
  json: JsonValue,
  first: unknown,
): ReadMessage<MessageShape<D>> {
  try {
    return { message: fromJson(schema, json) };
  } catch {
    // What the walk below knows nothing of, such as nesting without end.
    const description = first instanceof Error ? first.message : String(first);
    return { problems: [{ path: [], description }] };
  }
}

function messageAt(schema: DescMessage, json: JsonValue, at: At): JsonValue {
  const form = ownForm(schema);
  if (form !== undefined) return leaf(json, at, form, () => fromJson(schema, json));
  if (!isObject(json)) return told(json, at, `expected an object, got ${kindOf(json)}`);
  const seen = new Set<DescField>();
  const fields = Object.entries(json).map(([key, value]): [string, JsonValue] => {
    const field = schema.fields.find(({ name, jsonName }) => key === name || key === jsonName);
    if (!field) {
      told(json, inside(at, key), unknownField(schema, key));
      return [key, value];
    }
    const here = inside(at, field.name);
    if (seen.has(field)) told(json, here, "is given twice");
    seen.add(field);
    if (value === null && !takesNull(field)) return [field.name, null];
    return [field.name, fieldAt(field, value, here)];
  });
  for (const oneof of schema.oneofs) {
    const given = oneof.fields.filter((field) => seen.has(field)).map(({ name }) => name);
    if (given.length > 1) told(json, at, `may have only one of ${given.join(", ")}`);
  }
  return Object.fromEntries(fields);
}

function fieldAt(field: DescField, json: JsonValue, at: At): JsonValue {
  switch (field.fieldKind) {
    case "message":
      return messageAt(field.message, json, at);
    case "enum":
      return enumAt(field.enum, json, at);
    case "scalar":
      return scalarAt(field, field.scalar, json, at, json);
    case "list": {
      if (!Array.isArray(json)) return told(json, at, `expected a list, got ${kindOf(json)}`);
      const read = itemReader(field, field.listKind, (item) => [item]);
      return json.map((item, index) => read(item, inside(at, index)));
    }
    case "map": {
      if (!isObject(json)) return told(json, at, `expected an object, got ${kindOf(json)}`);
      const entries = Object.entries(json).map(([key, item]): [string, JsonValue] => [
        key,
        itemReader(field, field.mapKind, (one) => ({ [key]: one }))(item, inside(at, key)),
      ]);
      return Object.fromEntries(entries);
    }
  }
}

/** Reads what a list or a map holds; `held` makes the whole field of one item. */
function itemReader(
  field: DescField & { fieldKind: "list" | "map" },
  kind: "message" | "enum" | "scalar",
  held: (item: JsonValue) => JsonValue,
): Read {
  const { message, enum: values, scalar } = field;
  if (kind === "message" && message) return (json, at) => messageAt(message, json, at);
  if (kind === "enum" && values) return (json, at) => enumAt(values, json, at);
  return (json, at) => scalarAt(field, scalar ?? ScalarType.STRING, json, at, held(json));
}

function scalarAt(field: DescField, type: ScalarType, json: JsonValue, at: At, whole: JsonValue) {
  const alone: JsonObject = { [field.name]: whole };
  return leaf(json, at, scalarForms[type], () => fromJson(field.parent, alone));
}

function enumAt(values: DescEnum, json: JsonValue, at: At): JsonValue {
  if (typeof json === "number" && values.value[json]) return json;
  const prefix = values.sharedPrefix?.toUpperCase() ?? "";
  const meaningful = values.values.filter(({ number }) => number !== 0);
  const short = meaningful.map(({ name }) => name.replace(prefix, ""));
  if (typeof json === "string") {
    const found = values.values.find(({ name }) => name === json || name === prefix + json);
    if (found) return found.name;
    const meant = nearest(json.toUpperCase(), short);
    const hint = meant ? `; did you mean ${meant}?` : "";
    return told(json, at, `is none of ${short.join(", ")}${hint}`);
  }
  return told(json, at, `expected one of ${short.join(", ")}, got ${kindOf(json)}`);
}

/** Asks the library about one value alone, so that there is one opinion on what is right. */
function leaf(json: JsonValue, at: At, form: string, read: () => unknown): JsonValue {
  try {
    read();
    return json;
  } catch {
    return told(json, at, `expected ${form}, got ${kindOf(json)}`);
  }
}

function told(json: JsonValue, at: At, description: string): JsonValue {
  at.problems.push({ path: at.path, description });
  return json;
}

function inside(at: At, part: string | number): At {
  return { path: [...at.path, part], problems: at.problems };
}

function unknownField(schema: DescMessage, key: string): string {
  const meant = nearest(
    key,
    schema.fields.flatMap(({ name, jsonName }) => [name, jsonName]),
  );
  return `there is no such field${meant ? `; did you mean ${meant}?` : ""}`;
}

function takesNull(field: DescField): boolean {
  return field.fieldKind === "message" && field.message.typeName === "google.protobuf.Value";
}

function isObject(json: JsonValue): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** What a value is, without repeating a customer's words. */
function kindOf(json: JsonValue): string {
  if (json === null) return "null";
  if (Array.isArray(json)) return "a list";
  if (typeof json === "object") return "an object";
  if (typeof json === "string") return json.length <= 40 ? `"${json}"` : "text";
  return String(json);
}

const wholeNumber32 = "a whole number of 32 bits";
const wholeNumber64 = "a whole number of 64 bits";
const natural32 = "a whole number of 32 bits, not negative";
const natural64 = "a whole number of 64 bits, not negative";

const scalarForms: Readonly<Record<ScalarType, string>> = {
  [ScalarType.STRING]: "text",
  [ScalarType.BOOL]: "true or false",
  [ScalarType.BYTES]: "bytes in base64",
  [ScalarType.DOUBLE]: "a number",
  [ScalarType.FLOAT]: "a number",
  [ScalarType.INT32]: wholeNumber32,
  [ScalarType.SINT32]: wholeNumber32,
  [ScalarType.SFIXED32]: wholeNumber32,
  [ScalarType.UINT32]: natural32,
  [ScalarType.FIXED32]: natural32,
  [ScalarType.INT64]: wholeNumber64,
  [ScalarType.SINT64]: wholeNumber64,
  [ScalarType.SFIXED64]: wholeNumber64,
  [ScalarType.UINT64]: natural64,
  [ScalarType.FIXED64]: natural64,
};

const ownForms: Readonly<Record<string, string>> = {
  "google.protobuf.Timestamp": "a point in time like 2026-01-31T12:00:00Z",
  "google.protobuf.Duration": "a duration in seconds like 10s or 0.5s",
  "google.protobuf.FieldMask": "names of fields, joined by commas",
  "google.protobuf.Struct": "an object",
  "google.protobuf.Value": "any JSON, nested less deep",
  "google.protobuf.ListValue": "a list",
  "google.protobuf.Any": 'an object with "@type"',
};

/** What a message looks like that is not written as an object of its fields. */
function ownForm(schema: DescMessage): string | undefined {
  if (isWrapperDesc(schema)) return "a plain value";
  return ownForms[schema.typeName];
}
