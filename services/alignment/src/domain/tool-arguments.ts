import type { Tool } from "@soldier/proto/config/v1/tool";
import { fitted, isoDate, typesOf } from "./coercion.ts";
import { type Grounds, isGrounded } from "./grounding.ts";
import { type Json, type JsonRecord, jsonOf } from "./json.ts";
import { type KnownValues, lookUp } from "./known-values.ts";
import { pattern } from "./patterns.ts";
import { propertiesOf, propertyProblems, requiredOf, schemaProblem } from "./tool-schema.ts";

export interface ArgumentQuestion {
  readonly tool: Tool;
  readonly known: KnownValues;
  /** What the customer wrote in this conversation, the latest first. */
  readonly messages: readonly string[];
  /** The argument that this message answers, when the agent had asked for one. */
  readonly awaited: string | undefined;
  /** What was given for the same call before, while the agent asked for the rest. */
  readonly given?: JsonRecord;
  /** What a model proposes; undefined when none was asked. */
  readonly proposal?: Proposal;
}

export interface Proposal {
  readonly values: JsonRecord;
  /** There is no other call of the tool: what the conversation says can only be meant for this one. */
  readonly only: boolean;
  readonly grounds: Grounds;
}

export interface ToolArguments {
  readonly values: JsonRecord;
  /** Required, and nowhere to be had. */
  readonly missing: readonly string[];
  /** Arguments that break their schema, with what is wrong. */
  readonly invalid: ReadonlyMap<string, string>;
  /** A model proposed a value for them that nobody said; it was left out. */
  readonly unsaid: readonly string[];
}

/**
 * A tool's arguments from wherever they can be had: never guessed, and a value that breaks its schema
 * is reported, not mended.
 */
export function toolArguments(question: ArgumentQuestion): ToolArguments {
  const { tool } = question;
  const schema = tool.inputSchema;
  const properties = propertiesOf(schema);
  const names = new Set([...Object.keys(properties), ...Object.keys(tool.arguments)]);
  const values: JsonRecord = {};
  const unsaid: string[] = [];
  for (const name of names) {
    const property = properties[name];
    const value = settled(name, question) ?? proposed() ?? gathered(name, question);
    if (value !== undefined) values[name] = fitted(value, property);

    function proposed(): Json | undefined {
      const given = present(question.proposal?.values[name]);
      if (given === undefined || !question.proposal) return undefined;
      const fit = fitted(given, property);
      if (isGrounded(name, fit, property, question.proposal.grounds, tool.consequential))
        return fit;
      unsaid.push(name);
      return undefined;
    }
  }
  const missing = requiredOf(schema).filter((name) => !Object.hasOwn(values, name));
  const invalid = new Map(schema ? propertyProblems(schema, values) : []);
  for (const [name, property] of Object.entries(properties)) {
    const value = values[name];
    if (property["format"] === "date" && typeof value === "string" && isoDate(value) !== value)
      invalid.set(name, "must be a date");
  }
  if (schema && missing.length === 0 && invalid.size === 0) {
    const problem = schemaProblem(schema, values);
    if (problem) invalid.set("", problem);
  }
  return { values, missing, invalid, unsaid };
}

/** What an argument is whatever anybody says. */
function settled(name: string, { tool, known }: ArgumentQuestion): Json | undefined {
  const source = tool.arguments[name];
  return jsonOf(source?.constant) ?? (source?.from ? lookUp(known, source.from) : undefined);
}

/** What can be had without a model. */
function gathered(name: string, question: ArgumentQuestion): Json | undefined {
  const { tool, known, messages, awaited, given, proposal } = question;
  const source = tool.arguments[name];
  if (source?.pattern && proposal?.only !== false) {
    const expression = pattern(source.pattern);
    for (const message of messages) {
      const found = expression?.capture(message)?.trim();
      if (found) return found;
    }
  }
  // A model has read the answer to our question, and what was given before it, for itself.
  if (!proposal) {
    // Without a pattern of its own, the answer is the whole message.
    if (awaited === name && !source?.pattern) return messages[0]?.trim().replace(/[.!]+$/, "");
    const before = present(given?.[name]);
    if (before !== undefined) return before;
  }
  // What the conversation has collected and what the profile says, by the argument's own name.
  return (
    present(known.fields[name]) ?? present(known.profile[name]) ?? present(known.variables[name])
  );
}

function present(value: Json | undefined): Json | undefined {
  return value === null || value === "" ? undefined : value;
}

/** Why these arguments can't be used, or what was left out of them; empty when there is nothing to say. */
export function reasonOf({ missing, invalid, unsaid }: ToolArguments): string {
  return [
    ...(missing.length > 0 ? [`missing: ${missing.join(", ")}`] : []),
    ...[...invalid].map(([name, problem]) => `${name} ${problem}`.trim()),
    ...(unsaid.length > 0 ? [`proposed but not said: ${unsaid.join(", ")}`] : []),
  ].join("; ");
}

/** How the agent asks for an argument, after saying what is wrong with the one it was given. */
export function askFor(tool: Tool, argument: string, isInvalid = false): string {
  const words = argument.replaceAll(/[_-]+/g, " ");
  const ask = tool.arguments[argument]?.ask || `Could you tell me the ${words}, please?`;
  if (!isInvalid) return ask;
  return `${complaint(words, propertiesOf(tool.inputSchema)[argument])} ${ask}`;
}

/** What the customer can do something about. */
function complaint(words: string, property: JsonRecord = {}): string {
  const { enum: options, minimum, maximum, format } = property;
  if (Array.isArray(options))
    return `The ${words} has to be one of: ${options.map((each) => JSON.stringify(each)).join(", ")}.`;
  if (format === "date") return `The ${words} has to be a date, such as 2025-01-31.`;
  const types = typesOf(property);
  if (!types.includes("number") && !types.includes("integer"))
    return `That does not look right for the ${words}.`;
  const bounds = [
    ...(typeof minimum === "number" ? [`at least ${minimum}`] : []),
    ...(typeof maximum === "number" ? [`at most ${maximum}`] : []),
  ].join(" and ");
  const kind = types.includes("integer") ? "a whole number" : "a number";
  return `The ${words} has to be ${kind}${bounds && `, ${bounds}`}.`;
}

/** Names of settings and variables that a tool's arguments refer to. */
export function namesInArguments(tool: Tool): readonly string[] {
  return Object.values(tool.arguments).flatMap(({ from }) => (from ? [from] : []));
}
