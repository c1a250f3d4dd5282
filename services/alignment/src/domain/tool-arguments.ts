import type { Tool } from "@soldier/proto/config/v1/tool";
import { type Json, type JsonRecord, jsonOf } from "./json.ts";
import { type KnownValues, lookUp } from "./known-values.ts";
import { pattern } from "./patterns.ts";
import {
  fitted,
  propertiesOf,
  propertyProblems,
  requiredOf,
  schemaProblem,
} from "./tool-schema.ts";

export interface ArgumentQuestion {
  readonly tool: Tool;
  readonly known: KnownValues;
  /** What the customer wrote in this conversation, the latest first. */
  readonly messages: readonly string[];
  /** The argument that this message answers, when the agent had asked for one. */
  readonly awaited: string | undefined;
  /** What a model made of the conversation. */
  readonly judged?: JsonRecord;
}

export interface ToolArguments {
  readonly values: JsonRecord;
  /** Required, and nowhere to be had. */
  readonly missing: readonly string[];
  /** Arguments that break their schema, with what is wrong. */
  readonly invalid: ReadonlyMap<string, string>;
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
  for (const name of names) {
    const value = sourced(name, question);
    if (value !== undefined) values[name] = fitted(value, properties[name]);
  }
  const missing = requiredOf(schema).filter((name) => !Object.hasOwn(values, name));
  const invalid = new Map(schema ? propertyProblems(schema, values) : []);
  if (schema && missing.length === 0 && invalid.size === 0) {
    const problem = schemaProblem(schema, values);
    if (problem) invalid.set("", problem);
  }
  return { values, missing, invalid };
}

function sourced(name: string, question: ArgumentQuestion): Json | undefined {
  const { tool, known, messages, awaited, judged } = question;
  const source = tool.arguments[name];
  const constant = jsonOf(source?.constant);
  if (constant !== undefined) return constant;
  const looked = source?.from ? lookUp(known, source.from) : undefined;
  if (looked !== undefined) return looked;
  if (source?.pattern) {
    const expression = pattern(source.pattern);
    for (const message of messages) {
      const found = expression?.capture(message)?.trim();
      if (found) return found;
    }
  }
  if (judged && Object.hasOwn(judged, name) && judged[name] !== null) return judged[name];
  // Without a pattern of its own, the answer to our question is the whole message.
  if (awaited === name && !source?.pattern) return messages[0]?.trim().replace(/[.!]+$/, "");
  // What the conversation has collected and what the profile says, by the argument's own name.
  return (
    present(known.fields[name]) ?? present(known.profile[name]) ?? present(known.variables[name])
  );
}

function present(value: Json | undefined): Json | undefined {
  return value === null || value === "" ? undefined : value;
}

/** How the agent asks for an argument. */
export function askFor(tool: Tool, argument: string): string {
  const ask = tool.arguments[argument]?.ask;
  return ask || `Could you tell me the ${argument.replaceAll(/[_-]+/g, " ")}, please?`;
}

/** Names of settings and variables that a tool's arguments refer to. */
export function namesInArguments(tool: Tool): readonly string[] {
  return Object.values(tool.arguments).flatMap(({ from }) => (from ? [from] : []));
}
