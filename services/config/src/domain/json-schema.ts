import type { JsonObject } from "@bufbuild/protobuf";
import { Ajv2020 } from "ajv/dist/2020.js";
import { RE2JS } from "re2js";
import { canonical } from "./canonical.ts";
import { remembered } from "./remembered.ts";

/** What a JSON Schema says of itself without a value. */
export interface SchemaReading {
  /** Why it does not compile. */
  readonly error?: string;
}

/** As turns read patterns: in RE2 syntax, so that no value can stall them. */
const regExp = Object.assign(
  (source: string) => {
    const made = RE2JS.compile(source);
    // Ajv tells patterns apart by their texts.
    return { test: (text: string) => made.test(text), toString: () => source };
  },
  { code: "unused: no code is written to files" },
);

const read = remembered(2_000, (text): SchemaReading => {
  try {
    // Unknown keywords and formats are notes for people; a schema from elsewhere may have them.
    const lenient = { strict: false, validateFormats: false, code: { regExp } };
    new Ajv2020(lenient).compile(JSON.parse(text));
    return {};
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
});

/** Why the schema (JSON Schema 2020-12) does not compile, or undefined when it does. */
export function schemaError(schema: JsonObject): string | undefined {
  return read(canonical(schema)).error;
}

/** Names of the properties that the schema declares; undefined when it declares none. */
export function propertiesOf(schema: JsonObject | undefined): readonly string[] | undefined {
  const properties = schema?.["properties"];
  if (!properties || typeof properties !== "object" || Array.isArray(properties)) return undefined;
  return Object.keys(properties);
}
