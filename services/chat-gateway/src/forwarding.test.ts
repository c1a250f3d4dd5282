import {
  type DescField,
  type DescMessage,
  equals,
  fromJson,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";
import { newId } from "@soldier/kernel/ids";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RestRoute, restRoutes } from "./rest/rest-routes.ts";
import { forwardedServices, isPublic } from "./rpc/forward.ts";
import { type Gateway, openGateway, send, tokenFor, unlimited } from "./testing.ts";

// Every method that the contract annotates, with a request made up from its descriptor: whoever
// adds one finds it tested here.
const routes = restRoutes(forwardedServices);

let gateway: Gateway;
let token: string;
beforeAll(async () => {
  gateway = await openGateway({ settings: unlimited });
  token = await tokenFor({ roles: ["chat", "operator"] });
});
afterAll(() => gateway[Symbol.asyncDispose]());

describe("what other services own", () => {
  it("is offered in full", () => {
    expect(routes.length).toBeGreaterThan(60);
  });

  it("is offered only where the contract names a role", () => {
    expect(routes.filter(({ method }) => !isPublic(method)).map(({ path }) => path)).toEqual([]);
  });

  it.each(routes.map((route) => [`${route.verb} ${route.path}`, route] as const))(
    "%s reaches its owner as it was sent",
    async (_, route) => {
      const json = sampleOf(route.method.input);
      const { path, body } = requestOf(route, json);
      const before = gateway.reached.length;
      const res = await send(gateway, route.verb, path, {
        token,
        ...(body !== undefined && { body }),
      });
      const answer = await res.text();
      expect([res.status, answer]).toEqual([200, expect.stringMatching(/^\{/)]);
      const [reached] = gateway.reached.slice(before);
      expect(reached?.rpc).toBe(`${route.method.parent.name}/${route.method.name}`);
      if (reached?.rpc === "SessionService/GetSession") return; // its fake keeps a part only
      const expected = fromJson(route.method.input, json);
      expect(
        reached && equals(route.method.input, reached.request as typeof expected, expected),
      ).toBe(true);
    },
  );
});

/** The parts of an HTTP request that say what the message says. */
function requestOf(route: RestRoute, message: JsonObject): { path: string; body?: JsonValue } {
  const json = structuredClone(message);
  const path = route.template.segments
    .map((segment) => {
      if (segment.kind === "literal") return segment.text;
      return encodeURIComponent(taken(json, segment.path)) + segment.verb;
    })
    .join("/");
  if (route.body === "message") return { path: `/${path}`, body: json };
  const name = route.body?.name;
  const body = name === undefined ? undefined : json[name];
  if (name !== undefined) delete json[name];
  const query = new URLSearchParams(flat(json, ""));
  return { path: `/${path}?${query.toString()}`, ...(body !== undefined && { body }) };
}

function taken(json: JsonObject, [name = "", ...rest]: readonly string[]): string {
  const value = json[name];
  if (rest.length > 0) return taken(value as JsonObject, rest);
  delete json[name];
  return value as string;
}

function flat(json: JsonObject, prefix: string): [string, string][] {
  return Object.entries(json).flatMap(([name, value]): [string, string][] => {
    if (Array.isArray(value)) return value.flatMap((item) => flat({ [name]: item }, prefix));
    if (typeof value === "object" && value !== null) return flat(value, `${prefix}${name}.`);
    return [[prefix + name, String(value)]];
  });
}

/** A message with a value in each field that needs one, within what the contract allows. */
function sampleOf(desc: DescMessage, depth = 0): JsonObject {
  const fields = desc.fields.filter((field) => {
    const optional = field.proto.proto3Optional || field.name === "meta";
    const other = field.oneof && field.oneof.fields.find(isSimple) !== field;
    return !optional && !other && (depth < 3 || field.fieldKind !== "message");
  });
  const entries = fields.map((field) => [field.name, valueOf(field, depth)]);
  return Object.fromEntries(entries) as JsonObject;
}

function isSimple(field: DescField): boolean {
  return field.fieldKind !== "message" || field.message.typeName.endsWith("HttpTool");
}

function valueOf(field: DescField, depth: number): JsonValue {
  if (field.fieldKind === "map") return {};
  const { message, enum: values, scalar } = field;
  const one = message
    ? (special[message.typeName] ?? sampleOf(message, depth + 1))
    : (values?.values[1]?.name ?? scalarOf(field, scalar ?? ScalarType.STRING));
  return field.fieldKind === "list" ? [one] : one;
}

function scalarOf({ name }: DescField, scalar: ScalarType): JsonValue {
  if (scalar === ScalarType.BOOL) return name !== "opening"; // which has no text
  if (scalar === ScalarType.BYTES) return "AAAA";
  if (scalar !== ScalarType.STRING) return 1;
  if (name === "method") return "GET";
  if (name === "stage") return "embedded";
  return /id(s?)$/.test(name) ? newId() : "abc";
}

const special: Record<string, JsonValue> = {
  "google.protobuf.Timestamp": "2026-01-31T12:00:00Z",
  "google.protobuf.Duration": "5s",
  "google.protobuf.Struct": { a: 1 },
  "google.protobuf.Value": "abc",
};
