import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { isRecord, type JsonRecord } from "./json.ts";
import { pattern } from "./patterns.ts";

/** Patterns are RE2 here, too: no value may stall a turn. */
const regExp = Object.assign(
  (source: string) => {
    const made = pattern(source);
    if (!made) throw new Error(`the pattern ${source} is not in RE2 syntax`);
    // Ajv tells patterns apart by their texts.
    return { test: (text: string) => made.test(text), toString: () => source };
  },
  { code: "unused: no code is written to files" },
);

// Formats are not checked: a schema's own pattern says what it needs. Unknown keywords are ignored.
const ajv = new Ajv2020({
  strict: false,
  allErrors: true,
  validateFormats: false,
  code: { regExp },
});

// By identity: schemas live in bundles, and are forgotten with them.
const compiled = new WeakMap<object, ValidateFunction | string>();

/** What is wrong with a value by its JSON Schema, for people; undefined when nothing is. */
export function schemaProblem(schema: JsonRecord, value: unknown): string | undefined {
  const validate = validatorOf(schema);
  if (typeof validate === "string") return `the schema itself is wrong: ${validate}`;
  if (validate(value)) return undefined;
  return ajv.errorsText(validate.errors, { dataVar: "" }).trim().slice(0, problemLengthMax);
}

/** Why nothing can be held to the schema; undefined when something can. */
export function brokenSchema(schema: JsonRecord): string | undefined {
  const validate = validatorOf(schema);
  return typeof validate === "string" ? validate : undefined;
}

/** Each property that breaks its schema, with what is wrong. */
export function propertyProblems(
  schema: JsonRecord,
  value: JsonRecord,
): ReadonlyMap<string, string> {
  const problems = new Map<string, string>();
  for (const [name, property] of Object.entries(propertiesOf(schema))) {
    if (!Object.hasOwn(value, name)) continue;
    const problem = schemaProblem(property, value[name]);
    if (problem) problems.set(name, problem);
  }
  return problems;
}

const problemLengthMax = 500;

function validatorOf(schema: JsonRecord): ValidateFunction | string {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  let made: ValidateFunction | string;
  try {
    // Without its $id: two tools may use the same one, and Ajv keeps them for good.
    const { $id: _id, ...plain } = schema;
    made = ajv.compile(plain);
    ajv.removeSchema(plain); // it would keep every schema of every version
  } catch (error) {
    made = error instanceof Error ? error.message : String(error);
  }
  compiled.set(schema, made);
  return made;
}

/** The properties that an input schema declares. */
export function propertiesOf(schema: JsonRecord | undefined): Readonly<Record<string, JsonRecord>> {
  const properties = schema?.["properties"];
  if (!isRecord(properties)) return {};
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, property]) =>
      isRecord(property) ? [[name, property]] : [],
    ),
  );
}

export function requiredOf(schema: JsonRecord | undefined): readonly string[] {
  const required = schema?.["required"];
  return Array.isArray(required)
    ? required.filter((name): name is string => typeof name === "string")
    : [];
}
