import type { DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import type { JsonProblem } from "@soldier/chassis/message-json";

type Path = JsonProblem["path"];

/**
 * Proto JSON from how files may write it: a message that only says which thing is meant stands as
 * text ("rule:greeting" for `rule_id: greeting`), and one such text for a list of it. Short names of
 * enum values are left to who reads the message.
 */
export function inFull(
  schema: DescMessage,
  json: JsonValue,
  path: Path,
  problems: JsonProblem[],
): JsonValue {
  const targets = targetsOf(schema);
  if (targets && typeof json === "string") {
    const [, kind, name] = /^(\w+):\s*(.+)$/s.exec(json) ?? [];
    const target = targets.find((field) => kindOf(field) === kind);
    if (target && name !== undefined) return { [target.name]: name };
    const forms = targets.map((field) => `${kindOf(field)}:NAME`).join(", ");
    problems.push({ path, description: `expected one of ${forms}, got "${json}"` });
    return {};
  }
  return eachField(schema, json, (field, value) => {
    const here = [...path, field.name];
    if (field.fieldKind === "list" && field.listKind === "message") {
      const { message } = field;
      const isOne = !Array.isArray(value) && value !== null && targetsOf(message) !== undefined;
      const items = isOne ? [value] : value;
      if (!Array.isArray(items)) return items;
      return items.map((item, index) => inFull(message, item, [...here, index], problems));
    }
    if (field.fieldKind === "map" && field.mapKind === "message") {
      const { message } = field;
      return eachValue(value, (item, key) => inFull(message, item, [...here, key], problems));
    }
    return field.fieldKind === "message" ? inFull(field.message, value, here, problems) : value;
  });
}

/** The other way: proto JSON as files write it, enum values without their prefix. */
export function inShort(schema: DescMessage, json: JsonValue): JsonValue {
  const target = targetsOf(schema);
  if (target && isObject(json)) {
    const [[name, value] = []] = Object.entries(json);
    const field = target.find((one) => one.name === name);
    if (field && typeof value === "string") return `${kindOf(field)}:${value}`;
  }
  return eachField(schema, json, (field, value) => {
    const { message, enum: values } = field;
    const short = (item: JsonValue): JsonValue => {
      if (message) return inShort(message, item);
      if (!values || typeof item !== "string") return item;
      const prefix = values.sharedPrefix?.toUpperCase() ?? "";
      return item.startsWith(prefix) ? item.slice(prefix.length) : item;
    };
    if (field.fieldKind === "list") return Array.isArray(value) ? value.map(short) : value;
    return field.fieldKind === "map" ? eachValue(value, short) : short(value);
  });
}

/** The fields of a message that is nothing but a choice between ids of several kinds. */
function targetsOf(schema: DescMessage): readonly DescField[] | undefined {
  const [choice, ...others] = schema.oneofs;
  const isChoice =
    choice !== undefined &&
    others.length === 0 &&
    choice.fields.length === schema.fields.length &&
    choice.fields.every((field) => field.scalar === ScalarType.STRING && /._id$/.test(field.name));
  return isChoice ? choice.fields : undefined;
}

function kindOf(field: DescField): string {
  return field.name.replace(/_id$/, "");
}

/** The object with each known field's value replaced; anything else stays for its reader to judge. */
function eachField(
  schema: DescMessage,
  json: JsonValue,
  replaced: (field: DescField, value: JsonValue) => JsonValue,
): JsonValue {
  // Struct, Value, Duration and their like are not written as their fields.
  if (schema.typeName.startsWith("google.protobuf.")) return json;
  return eachValue(json, (value, key) => {
    const field = schema.fields.find(({ name, jsonName }) => key === name || key === jsonName);
    return field ? replaced(field, value) : value;
  });
}

function eachValue(
  json: JsonValue,
  replaced: (value: JsonValue, key: string) => JsonValue,
): JsonValue {
  if (!isObject(json)) return json;
  return Object.fromEntries(Object.entries(json).map(([key, item]) => [key, replaced(item, key)]));
}

function isObject(json: JsonValue): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
