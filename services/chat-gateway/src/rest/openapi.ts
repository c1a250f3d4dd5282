import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { type JsonSchema, MessageSchemas } from "./json-schema.ts";
import { fieldsAt, type RestRoute } from "./rest-routes.ts";

/** What the routes offer, as an OpenAPI 3.1 document. */
export function openApi(routes: readonly RestRoute[]): JsonSchema {
  const schemas = new MessageSchemas();
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const route of routes)
    (paths[route.path] ??= {})[route.verb.toLowerCase()] = operation(route, schemas);
  return {
    openapi: "3.1.0",
    info: { title: "Soldier", version: "v1", description: "Conversational agents" },
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
      schemas: { ...schemas.all, Error: errorSchema },
    },
  };
}

function operation(route: RestRoute, schemas: MessageSchemas): JsonSchema {
  const { method } = route;
  const body = bodySchema(route, schemas);
  return {
    operationId: `${method.parent.name}_${method.name}`,
    tags: [method.parent.name],
    parameters: [...pathParameters(route, schemas), ...queryParameters(route, schemas)],
    ...(body && { requestBody: { required: true, content: { "application/json": body } } }),
    responses: {
      "200": { description: "The answer", content: answerContent(route, schemas) },
      default: {
        description: "What went wrong",
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      },
    },
  };
}

function bodySchema({ body, method }: RestRoute, schemas: MessageSchemas) {
  if (body === undefined) return undefined;
  return { schema: body === "message" ? schemas.of(method.input) : schemas.ofField(body) };
}

function answerContent({ method }: RestRoute, schemas: MessageSchemas): JsonSchema {
  const schema = schemas.of(method.output);
  if (method.methodKind === "unary") return { "application/json": { schema } };
  // Each event holds one message.
  return { "text/event-stream": { schema }, "application/x-ndjson": { schema } };
}

function pathParameters(route: RestRoute, schemas: MessageSchemas): readonly JsonSchema[] {
  return route.template.segments.flatMap((segment) => {
    if (segment.kind === "literal") return [];
    const field = fieldsAt(route.method.input, segment.path).at(-1);
    const schema = field ? schemas.ofField(field) : { type: "string" };
    return [{ name: segment.path.join("."), in: "path", required: true, schema }];
  });
}

function queryParameters(route: RestRoute, schemas: MessageSchemas): readonly JsonSchema[] {
  if (route.body === "message") return [];
  const taken = new Set(
    route.template.segments.flatMap((segment) => (segment.kind === "field" ? segment.path[0] : [])),
  );
  const { body } = route;
  return route.method.input.fields
    .filter((field) => !taken.has(field.name) && field !== body)
    .flatMap((field) => parametersOf(field, "", schemas));
}

/** A message in a query is given by its fields, by one level: as_of.valid_at. */
function parametersOf(field: DescField, prefix: string, schemas: MessageSchemas): JsonSchema[] {
  const name = prefix + field.name;
  if (field.fieldKind === "map") return [];
  if (field.message && !isText(field.message))
    return prefix === "" && field.fieldKind === "message"
      ? field.message.fields.flatMap((inner) => parametersOf(inner, `${name}.`, schemas))
      : [];
  return [{ name, in: "query", schema: schemas.ofField(field) }];
}

function isText({ typeName }: DescMessage): boolean {
  return /^google\.protobuf\.(Timestamp|Duration|FieldMask)$/.test(typeName);
}

const text = { type: "string" };

const errorSchema: JsonSchema = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "reason", "message", "fields", "metadata", "traceId"],
      properties: {
        code: { type: "string", examples: ["NOT_FOUND"] },
        reason: { type: "string", examples: ["SESSION_NOT_FOUND"] },
        message: text,
        fields: {
          type: "array",
          items: { type: "object", properties: { field: text, description: text } },
        },
        metadata: { type: "object", additionalProperties: text },
        traceId: text,
      },
    },
  },
};
