import { z } from "zod";
import type { Format } from "./exchange.ts";

/** The shape as JSON Schema, as the model is to write it. */
export function jsonSchemaOf({ schema }: Pick<Format, "schema">): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return rest;
}

/** Tells a model of the shape in words, where the provider does not hold it to one. */
export function shapeInWords(format: Pick<Format, "schema">): string {
  return (
    "Answer with one JSON value and nothing else: no words around it, no code fence. " +
    `It must fit this JSON Schema:\n${JSON.stringify(jsonSchemaOf(format))}`
  );
}
