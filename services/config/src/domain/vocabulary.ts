import { namesIn, segmentsOf } from "@soldier/kernel/template-text";
import { Fault } from "@soldier/kernel/fault";
import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { type NameUse, readExpression } from "./expression.ts";
import { propertiesOf } from "./json-schema.ts";
import { patternError } from "./pattern.ts";
import { type Notes, unknownName } from "./problem.ts";

/** The names that templates, expressions and arguments of one draft may use. */
export interface Vocabulary {
  readonly variables: ReadonlySet<string>;
  /** Defined fields of the customer's profile. */
  readonly profile: ReadonlySet<string>;
  /** Fields that steps collect or the profile defines. */
  readonly fields: ReadonlySet<string>;
  readonly tools: ReadonlySet<string>;
  /** Properties that the results of tools declare. */
  readonly resultProperties: ReadonlySet<string>;
  /** A tool that doesn't declare all names that may come from it: any might. */
  readonly undeclared: string | undefined;
}

const sessionKeys = ["id", "turn", "channel", "scenario", "step", "fields"];
const expressionRoots = new Map<string, readonly string[] | undefined>([
  ["session", sessionKeys],
  ["customer", undefined],
  ["agent", undefined],
  ["profile", undefined],
  ["provenance", undefined],
  ["variables", undefined],
  ["fields", undefined],
  ["results", undefined],
  ["message", ["text"]],
  ["context", ["intent", "topic", "sentiment"]],
]);
const pathRoots = [
  "profile",
  "provenance",
  "fields",
  "variables",
  "results",
  "session",
  "customer",
  "agent",
];
/** What can be said of how a field is known. */
const provenanceKeys = [
  "state",
  "note",
  "source",
  "recorded_on",
  "verified_on",
  "since",
  "until",
  "expires_on",
  "age_days",
];

export function vocabularyOf(document: AgentDocument): Vocabulary {
  const profile = new Set(document.fieldDefinitions.map(({ name }) => name));
  const collected = document.scenarios.flatMap(({ steps }) =>
    steps.flatMap((step) => step.collects),
  );
  const declared = document.tools.map(({ name, outputSchema, directs }) => ({
    name,
    properties: propertiesOf(outputSchema),
    directs,
  }));
  return {
    variables: new Set(document.variables.map(({ name }) => name)),
    profile,
    fields: new Set([...profile, ...collected]),
    tools: new Set(document.tools.map(({ name }) => name)),
    resultProperties: new Set(declared.flatMap(({ properties }) => properties ?? [])),
    undeclared: declared.find(({ properties, directs }) => !properties || directs)?.name,
  };
}

/** Notes what is wrong with a CEL expression; `more` are names known in this place only. */
export function checkExpression(
  notes: Notes,
  field: string,
  text: string,
  known: Vocabulary,
  more: readonly string[] = [],
): void {
  if (!text) return;
  const expression = readExpression(text);
  if (expression.error !== undefined)
    return notes.wrong(field, "EXPRESSION_INVALID", `is not a CEL expression: ${expression.error}`);
  if (expression.excess !== undefined)
    notes.wrong(field, "EXPRESSION_TOO_LARGE", expression.excess);
  for (const name of expression.unknownFunctions)
    notes.wrong(field, "EXPRESSION_INVALID", `CEL has no function ${name}()`);
  for (const use of expression.names) checkUse(notes, field, use, known, more);
}

/** Notes what is wrong with a text with {names}. */
export function checkTemplate(notes: Notes, field: string, text: string, known: Vocabulary): void {
  for (const name of templateNames(notes, field, text)) checkPath(notes, field, name, known);
}

/** The names in a text; none, and a note, when its braces are wrong. */
export function templateNames(notes: Notes, field: string, text: string): readonly string[] {
  try {
    return namesIn(text);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    notes.wrong(field, "TEMPLATE_SYNTAX", error.message);
    return [];
  }
}

/** Notes when a path such as "profile.email" or "order.items[0]" leads nowhere. */
export function checkPath(notes: Notes, field: string, path: string, known: Vocabulary): void {
  const [root = "", key, detail] = segmentsOf(path);
  if (!pathRoots.includes(root)) return checkBareName(notes, field, root, known);
  if (key === undefined)
    return notes.wrong(field, "NAME_UNKNOWN", `{${path}} needs a name after it: {${root}.…}`);
  if (root === "session" && !sessionKeys.includes(key))
    return checkKey(notes, field, { root: "fields", key }, known);
  if (root === "provenance" && (detail === undefined || !provenanceKeys.includes(detail))) {
    const text = unknownName(`key of {${root}.${key}.…}`, detail ?? "", provenanceKeys);
    return notes.wrong(field, "NAME_UNKNOWN", text);
  }
  return checkKey(notes, field, { root, key }, known);
}

/** Notes when a regular expression does not compile. */
export function checkPattern(notes: Notes, field: string, text: string): void {
  const error = text ? patternError(text) : undefined;
  if (error !== undefined)
    notes.wrong(field, "PATTERN_INVALID", `is not a regular expression (RE2): ${error}`);
}

function checkUse(
  notes: Notes,
  field: string,
  use: NameUse,
  known: Vocabulary,
  more: readonly string[],
): void {
  if (more.includes(use.root)) return;
  if (!expressionRoots.has(use.root)) {
    const roots = [...expressionRoots.keys(), ...more];
    const text = `${unknownName("name in expressions", use.root, roots)} Known: ${roots.join(", ")}`;
    return notes.wrong(field, "NAME_UNKNOWN", text);
  }
  const keys = expressionRoots.get(use.root);
  if (use.key === undefined) return;
  if (keys && !keys.includes(use.key))
    return notes.wrong(field, "NAME_UNKNOWN", unknownName(`key of ${use.root}`, use.key, keys));
  checkKey(notes, field, { root: use.root, key: use.key }, known);
}

function checkKey(
  notes: Notes,
  field: string,
  { root, key }: Required<NameUse>,
  known: Vocabulary,
): void {
  const must = (kind: string, names: ReadonlySet<string>) => {
    if (!names.has(key)) notes.wrong(field, "NAME_UNKNOWN", unknownName(kind, key, names));
  };
  if (root === "variables") must("variable", known.variables);
  if (root === "profile" || root === "provenance") must("field definition", known.profile);
  if (root === "results") must("tool", known.tools);
  // Tools may set fields of the session that nobody declares.
  if (root === "fields" && !known.fields.has(key)) {
    const text = `no step collects "${key}" and no field definition has that name`;
    notes.doubtful(field, "NAME_UNKNOWN", `${text}; it is known only if a tool sets it`);
  }
}

function checkBareName(notes: Notes, field: string, name: string, known: Vocabulary): void {
  const sets = [known.variables, known.fields, known.resultProperties];
  if (sets.some((names) => names.has(name))) return;
  const text = unknownName(
    "variable, field or tool result",
    name,
    sets.flatMap((names) => [...names]),
  );
  if (known.undeclared === undefined) return notes.wrong(field, "NAME_UNKNOWN", text);
  const maybe = `; it is known only if a tool such as "${known.undeclared}" gives it`;
  notes.doubtful(field, "NAME_UNKNOWN", text + maybe);
}
