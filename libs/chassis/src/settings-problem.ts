import { z } from "zod";
import { nearest } from "@soldier/kernel/nearest";
import type { Document } from "./settings.ts";
import { valueAt } from "./settings-tree.ts";

/** One sentence for each setting at fault: where, what, the kind of value found, and who set it. */
export function issueTexts(
  issue: z.core.$ZodIssue,
  table: string,
  schema: z.ZodType,
  document: Document,
): readonly string[] {
  const path = [table, ...issue.path];
  const name = path.join(".");
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(schema, issue.path);
    return issue.keys.map((key) => {
      const meant = nearest(key, known);
      const source = sourceOf(document, `${name}.${key}`);
      const hint = meant ? `; did you mean ${name}.${meant}?` : "";
      return `${name}.${key}: there is no such setting${hint}${source}`;
    });
  }
  const value = valueAt(document.values, path);
  if (value === undefined) return document.complete ? [`${name}: is missing; it must be set`] : [];
  // The value itself may be a secret; its kind is not.
  return [`${name}: ${lowered(issue.message)}; found ${kindOf(value)}${sourceOf(document, name)}`];
}

function lowered(message: string): string {
  return message.replace(/^Invalid input: /, "").replace(/, received .*$/, "");
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value === "") return "an empty string";
  if (typeof value === "string") return `a string of ${value.length} characters`;
  if (typeof value === "number") return `the number ${value}`;
  if (typeof value === "boolean") return String(value);
  return value instanceof Date ? "a date" : "a table";
}

function sourceOf(document: Document, name: string): string {
  // A problem may be with a whole table, which many may have set, or inside a list.
  const exact = document.sources.get(name);
  if (exact) return ` (from ${exact})`;
  const near = [...document.sources].find(
    ([path]) => path.startsWith(`${name}.`) || name.startsWith(`${path}.`),
  );
  return near ? ` (from ${near[1]})` : "";
}

function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let here: unknown = schema;
  for (const key of path) {
    if (!(here instanceof z.ZodObject)) return [];
    here = here.shape[String(key)];
  }
  return here instanceof z.ZodObject ? Object.keys(here.shape) : [];
}
