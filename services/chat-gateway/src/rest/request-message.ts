import {
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { type JsonProblem, pathText, readMessage } from "@soldier/chassis/message-json";
import { Fault } from "@soldier/kernel/fault";
import type { RestRoute } from "./rest-routes.ts";

/** What an HTTP request says, before it is a message. */
export interface RequestParts {
  /** Text for each field of the path's template, in their order. */
  readonly pathValues: readonly string[];
  readonly query: URLSearchParams;
  /** undefined when the request has no body. */
  readonly body: JsonValue | undefined;
}

// So many problems are told at most: an answer must not be larger than what it answers.
const problemsMax = 50;

/** Makes the method's request. Throws "invalid" with every problem, each by its field. */
export function requestMessage(route: RestRoute, parts: RequestParts): Message {
  const { input } = route.method;
  const problems: JsonProblem[] = [];
  const bound = fromPath(route, parts.pathValues);
  const json = fromBody(route, parts.body, problems);
  for (const { path, value } of bound) setPathValue(input, json, path, value, problems);
  const taken = new Set(bound.map(({ path }) => path[0] ?? ""));
  if (typeof route.body === "object") taken.add(route.body.name);
  for (const name of new Set(parts.query.keys())) {
    const values = parts.query.getAll(name);
    const described = setQueryValue(route, json, name, values, taken);
    if (described !== undefined) problems.push({ path: name.split("."), description: described });
  }
  const read = readMessage(input, json);
  problems.push(...(read.problems ?? []));
  if (read.message && problems.length === 0) return read.message;
  throw invalid(problems);
}

function invalid(problems: readonly JsonProblem[]): Fault {
  const fields = problems
    .slice(0, problemsMax)
    .map(({ path, description }) => ({ field: pathText(path), description }));
  const told = fields.map(({ field, description }) =>
    field === "" ? `the body: ${description}` : `${field}: ${description}`,
  );
  const more = problems.length > problemsMax ? ` (and ${problems.length - problemsMax} more)` : "";
  return new Fault("invalid", told.join("; ") + more, { reason: "INVALID_REQUEST", fields });
}

function fromPath({ template }: RestRoute, values: readonly string[]) {
  const paths = template.segments.flatMap((segment) =>
    segment.kind === "field" ? [segment.path] : [],
  );
  return paths.map((path, index) => ({ path, value: values[index] ?? "" }));
}

function fromBody(
  route: RestRoute,
  body: JsonValue | undefined,
  problems: JsonProblem[],
): Record<string, JsonValue> {
  if (route.body === undefined || body === undefined) return {};
  if (typeof route.body === "object") return { [route.body.name]: body };
  if (isObject(body)) return { ...body };
  problems.push({ path: [], description: "must be an object" });
  return {};
}

/**
 * Sets a field from the path; the body may name it too, but must not say otherwise. A resource's own
 * id may: what was read has its UUID, and the path may have its name.
 */
function setPathValue(
  message: DescMessage,
  json: Record<string, JsonValue>,
  path: readonly string[],
  value: string,
  problems: JsonProblem[],
): void {
  let desc: DescMessage = message;
  let here = json;
  for (const [depth, name] of path.entries()) {
    const field = fieldOf(desc, name);
    if (!field) return; // The table of routes was made from these very fields.
    const key = [field.name, field.jsonName].find((one) => Object.hasOwn(here, one)) ?? field.name;
    const said = here[key];
    if (depth === path.length - 1) {
      const differs = said !== undefined && said !== null && said !== "" && said !== value;
      if (differs && path.length === 1)
        problems.push({ path, description: "is another one in the path" });
      here[key] = value;
      return;
    }
    if (said !== undefined && said !== null && !isObject(said)) return; // Told when it is read.
    const inner = { ...said };
    here[key] = inner;
    here = inner;
    if (field.fieldKind === "message") desc = field.message;
  }
}

/** Sets a field, or one inside of it, from the query. Returns what is wrong with it. */
function setQueryValue(
  route: RestRoute,
  json: Record<string, JsonValue>,
  name: string,
  values: readonly string[],
  taken: ReadonlySet<string>,
): string | undefined {
  const parts = name.split(".");
  const found = queryField(route.method.input, parts);
  if (!found || route.body === "message" || taken.has(found[0]?.name ?? ""))
    return unknownParameter(route, taken);
  const field = found.at(-1);
  if (!field) return unknownParameter(route, taken);
  if (field.fieldKind !== "list" && values.length > 1) return "is given more than once";
  const texts = values.map((value) => valueOf(field, value));
  let here = json;
  for (const { name: outer } of found.slice(0, -1)) {
    const inner = isObject(here[outer]) ? { ...here[outer] } : {};
    here[outer] = inner;
    here = inner;
  }
  here[field.name] = field.fieldKind === "list" ? texts : (texts[0] ?? null);
  return undefined;
}

/** The fields along a parameter's name, to one that a text can be the value of. */
function queryField(message: DescMessage, names: readonly string[]): DescField[] | undefined {
  const [name, ...rest] = names;
  const field = fieldOf(message, name ?? "");
  if (!field || field.fieldKind === "map") return undefined;
  if (rest.length === 0) {
    const { message: inner } = field;
    return inner && !isText(inner) ? undefined : [field];
  }
  if (field.fieldKind !== "message") return undefined;
  const inner = queryField(field.message, rest);
  return inner && [field, ...inner];
}

/** Messages that proto JSON writes as text. */
function isText({ typeName }: DescMessage): boolean {
  return /^google\.protobuf\.(Timestamp|Duration|FieldMask|StringValue)$/.test(typeName);
}

/** Numbers may be text in proto JSON as it is; true and false may not. */
function valueOf(field: DescField, text: string): JsonValue {
  const scalar = field.fieldKind === "scalar" || field.fieldKind === "list" ? field.scalar : null;
  if (scalar === ScalarType.BOOL && (text === "true" || text === "false")) return text === "true";
  return text;
}

function unknownParameter(route: RestRoute, taken: ReadonlySet<string>): string {
  if (route.body === "message") return "is no parameter of the query: send it in the body";
  const names = route.method.input.fields
    .map((field) => field.name)
    .filter((name) => !taken.has(name));
  const known = names.length > 0 ? `; there are ${names.join(", ")}` : "";
  return `there is no such parameter${known}`;
}

function fieldOf(message: DescMessage, name: string): DescField | undefined {
  return message.fields.find((field) => field.name === name || field.jsonName === name);
}

function isObject(json: JsonValue | undefined): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
