import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";

/** JSON Schema (2020-12), as OpenAPI 3.1 takes it. */
export type JsonSchema = { readonly [key: string]: unknown };

/** Schemas of messages, each once, by name. */
export class MessageSchemas {
  readonly #schemas = new Map<string, JsonSchema>();

  get all(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries([...this.#schemas].toSorted(([a], [b]) => a.localeCompare(b)));
  }

  /** How proto JSON writes the message; most are referred to by their name. */
  of(message: DescMessage): JsonSchema {
    const own = ownForms[message.typeName];
    if (own) return own;
    const name = message.typeName.replace(/^soldier\./, "");
    if (!this.#schemas.has(name)) {
      this.#schemas.set(name, {}); // before its fields, which may lead back to it
      const fields = message.fields.map((field) => [field.jsonName, this.ofField(field)]);
      this.#schemas.set(name, {
        type: "object",
        properties: Object.fromEntries(fields),
        additionalProperties: false,
      });
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  ofField(field: DescField): JsonSchema {
    switch (field.fieldKind) {
      case "list":
        return { type: "array", items: this.#ofItem(field) };
      case "map":
        return { type: "object", additionalProperties: this.#ofItem(field) };
      case "message":
      case "enum":
      case "scalar":
        return this.#ofItem(field);
    }
  }

  #ofItem({ message, enum: values, scalar }: DescField): JsonSchema {
    if (message) return this.of(message);
    if (values) return { type: "string", enum: values.values.map(({ name }) => name) };
    return scalars[scalar];
  }
}

const int32 = { type: "integer", format: "int32" };
const uint32 = { type: "integer", format: "int64", minimum: 0 };
// JavaScript's numbers cannot hold them all, so proto JSON writes them as text.
const int64 = { type: "string", format: "int64" };
const uint64 = { type: "string", format: "uint64" };
const number = { type: "number" };

const scalars: Readonly<Record<ScalarType, JsonSchema>> = {
  [ScalarType.STRING]: { type: "string" },
  [ScalarType.BOOL]: { type: "boolean" },
  [ScalarType.BYTES]: { type: "string", contentEncoding: "base64" },
  [ScalarType.DOUBLE]: number,
  [ScalarType.FLOAT]: number,
  [ScalarType.INT32]: int32,
  [ScalarType.SINT32]: int32,
  [ScalarType.SFIXED32]: int32,
  [ScalarType.UINT32]: uint32,
  [ScalarType.FIXED32]: uint32,
  [ScalarType.INT64]: int64,
  [ScalarType.SINT64]: int64,
  [ScalarType.SFIXED64]: int64,
  [ScalarType.UINT64]: uint64,
  [ScalarType.FIXED64]: uint64,
};

const ownForms: Readonly<Record<string, JsonSchema>> = {
  "google.protobuf.Timestamp": { type: "string", format: "date-time" },
  "google.protobuf.Duration": { type: "string", pattern: "^-?\\d+(\\.\\d{1,9})?s$" },
  "google.protobuf.FieldMask": { type: "string" },
  "google.protobuf.Struct": { type: "object" },
  "google.protobuf.Value": {},
  "google.protobuf.ListValue": { type: "array" },
};
