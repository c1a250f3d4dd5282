import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { FieldViolation } from "@soldier/kernel/fault";
import { type FieldDefinition, FieldType } from "@soldier/proto/config/v1/tool";
import { Ajv2020 } from "ajv/dist/2020.js";
import { RE2JS } from "re2js";
import type { NewClaim } from "./claim.ts";

/**
 * What is wrong with a value by every definition of its field; undefined when nothing is. A field has
 * one value for all agents, so it keeps to the definition of each that has one. JSON's null says that
 * there is no value, which is right for any.
 */
export function valueProblem(
  value: JsonValue,
  definitions: readonly FieldDefinition[],
): string | undefined {
  if (value === null) return undefined;
  for (const { type, validation } of definitions) {
    const problem = typeProblem(value, type) ?? (validation && schemaProblem(value, validation));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** How a value is kept, by the strictest of its definitions. */
export function keepingOf(
  definitions: readonly FieldDefinition[],
): Pick<NewClaim, "encrypted" | "retentionMs"> {
  const retentions = definitions.flatMap(({ retention }) =>
    retention ? [Math.round(durationMs(retention))] : [],
  );
  return {
    encrypted: definitions.some(({ encrypted }) => encrypted),
    retentionMs: retentions.length === 0 ? undefined : Math.min(...retentions),
  };
}

/** The same as a violation of a request's field. */
export function valueViolations(
  value: JsonValue,
  definitions: readonly FieldDefinition[],
): readonly FieldViolation[] {
  const description = valueProblem(value, definitions);
  return description === undefined ? [] : [{ field: "value", description }];
}

function typeProblem(value: JsonValue, type: FieldType): string | undefined {
  switch (type) {
    case FieldType.NUMBER:
      return typeof value === "number" ? undefined : "must be a number";
    case FieldType.BOOLEAN:
      return typeof value === "boolean" ? undefined : "must be true or false";
    case FieldType.DATE:
      return isDay(value) ? undefined : "must be a day such as 2026-03-01";
    case FieldType.EMAIL:
      return matches(value, /^[^\s@,;<>]+@[^\s@,;<>]+\.[^\s@.,;<>]{2,}$/)
        ? undefined
        : "must be an e-mail address";
    case FieldType.PHONE:
      // What customers write in a conversation often lacks the country's code.
      return matches(value, /^\+?\d{7,15}$/)
        ? undefined
        : "must be a telephone number such as +351910000000";
    case FieldType.STRING:
    case FieldType.UNSPECIFIED:
      return typeof value === "string" ? undefined : "must be text";
    case FieldType.JSON:
    default:
      return undefined; // a type from a newer version says nothing to us
  }
}

function matches(value: JsonValue, form: RegExp): boolean {
  return typeof value === "string" && form.test(value);
}

function isDay(value: JsonValue): boolean {
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}$/.test(value)) return false;
  const time = Date.parse(`${value}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(value);
}

/** Patterns are RE2, as everywhere that operators write them: linear time on any text. */
const regExp = Object.assign(
  (source: string) => {
    const made = RE2JS.compile(source);
    return { test: (text: string) => made.test(text), toString: () => source };
  },
  { code: "unused: no code is written to files" },
);

const ajv = new Ajv2020({ strict: false, validateFormats: false, code: { regExp } });

function schemaProblem(value: JsonValue, { $id: _id, ...schema }: JsonObject): string | undefined {
  try {
    const valid = ajv.validate(schema, value);
    // Whatever it names is a place in the value, never the value.
    return valid ? undefined : ajv.errorsText(ajv.errors, { dataVar: "" }).trim().slice(0, 500);
  } catch {
    return undefined; // a schema that publishing would refuse today holds nothing back
  } finally {
    ajv.removeSchema(schema); // it would keep every schema that ever came
  }
}
