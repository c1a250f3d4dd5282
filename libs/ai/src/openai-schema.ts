import { zodResponseFormat } from "openai/helpers/zod";
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { Format } from "./exchange.ts";
import { jsonSchemaOf } from "./json-format.ts";
import type { Dialect } from "./openai-dialect.ts";

/** Holds the answer to its shape, as far as the server's dialect has words for it. */
export function responseFormat(
  format: Format,
  { json }: Dialect,
): Pick<ChatCompletionCreateParamsStreaming, "response_format"> {
  if (json === "words") return {};
  if (json === "object") return { response_format: { type: "json_object" } };
  const { schema, schemaName: name } = format;
  try {
    const { json_schema } = zodResponseFormat(schema, name);
    const strict = { ...json_schema, schema: forStrict(json_schema.schema) };
    return { response_format: { type: "json_schema", json_schema: strict } };
  } catch {
    // Strict schemas have no optional fields and no maps; as a hint, any schema will do.
    const json_schema = { name, schema: jsonSchemaOf(format), strict: false };
    return { response_format: { type: "json_schema", json_schema } };
  }
}

/** What a strict schema may not say; the answer is held to it all the same when it is read. */
const notStrict = new Set(["$schema", "default", "minLength", "maxLength"]);

function forStrict(schema: Record<string, unknown> | undefined): Record<string, unknown> {
  const kept = Object.entries(schema ?? {}).filter(([key]) => !notStrict.has(key));
  return Object.fromEntries(
    kept.map(([key, value]) => {
      if (Array.isArray(value))
        return [key, value.map((item) => (isTable(item) ? forStrict(item) : item))];
      if (!isTable(value)) return [key, value];
      // Below these any name may stand, "default" as well.
      if (key !== "properties" && key !== "$defs" && key !== "definitions")
        return [key, forStrict(value)];
      const named = Object.entries(value).map(([name, of]) => [
        name,
        isTable(of) ? forStrict(of) : of,
      ]);
      return [key, Object.fromEntries(named)];
    }),
  );
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
