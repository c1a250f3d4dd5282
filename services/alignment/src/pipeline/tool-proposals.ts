import type { Rule } from "@soldier/proto/config/v1/rule";
import type { Step } from "@soldier/proto/config/v1/scenario";
import type { Tool } from "@soldier/proto/config/v1/tool";
import { z } from "zod";
import type { Json, JsonRecord } from "../domain/json.ts";
import { lookUp } from "../domain/known-values.ts";
import { block, blocks, dataBlock } from "../domain/prompt-data.ts";
import { overlaps } from "../domain/tool-plan.ts";
import { propertiesOf, requiredOf } from "../domain/tool-schema.ts";
import { instructions } from "./prompts.ts";
import type { Turn } from "./turn.ts";

/**
 * The calls that a model proposes. A value is JSON text, because the strict shapes of providers know
 * no object with free names.
 */
export const callsShape = z.array(
  z.object({
    /** "t1" …, as in the question. */
    tool: z.string(),
    /** The customer clearly wants it done now. */
    now: z.boolean(),
    arguments: z.array(z.object({ name: z.string(), json: z.string() })),
  }),
);

export type ProposedCall = z.output<typeof callsShape>[number];

/** How a model is to answer with `calls`, for the system prompt of whoever asks for them. */
export const callInstructions = instructions(import.meta.url, "./steps/execute-tools.md");

const toolsOfferedMax = 20;
const shownLengthMax = 2_000;

type Surroundings = Pick<Turn, "bundle" | "known">;

/**
 * The tools of these rules and of the step about which a model has something to say: whether they are
 * wanted now, or with what. Each once, in the order in which they are named.
 */
export function toolsInQuestion(
  rules: readonly Pick<Rule, "toolIds">[],
  step: Pick<Step, "toolIds"> | undefined,
  { bundle, known }: Pick<Turn, "bundle" | "known">,
): readonly Tool[] {
  const ids = new Set([...rules.flatMap(({ toolIds }) => toolIds), ...(step?.toolIds ?? [])]);
  const tools = [...ids].flatMap((id) => bundle.toolsById.get(id) ?? []);
  return tools
    .filter(
      (tool) =>
        tool.consequential ||
        Object.keys(openProperties(tool, known)).length > 0 ||
        tools.some((other) => overlaps(tool, other)),
    )
    .slice(0, toolsOfferedMax);
}

/**
 * What a model is told of these tools, t1 being the first, and of all that it may fill arguments from.
 * `guidance`: actions of rules, which may say how an argument is made; in a judgement of rules, with
 * the rule that they hang on.
 */
export function describedTools(
  tools: readonly Tool[],
  guidance: readonly string[],
  { bundle, known }: Surroundings,
): string {
  if (tools.length === 0) return "";
  const aliases = new Map(tools.map(({ id }, i) => [id, `t${i + 1}`]));
  const { withheld } = known;
  const toolLines = tools.map((tool, i) => {
    const properties = openProperties(tool, known);
    const described = {
      name: tool.name,
      ...(tool.description && { description: tool.description }),
      properties,
      required: requiredOf(tool.inputSchema).filter((name) => Object.hasOwn(properties, name)),
      ...(tool.consequential && { consequential: true }),
      ...preferred(tool, aliases),
    };
    return `t${i + 1}: ${JSON.stringify(described)}`;
  });
  const values = [
    ...Object.entries(known.variables).map(([name, value]) => {
      const meaning = bundle.variables.get(name)?.description;
      return `${name}${meaning ? ` (${meaning})` : ""}: ${shown(value)}`;
    }),
    ...Object.entries({ ...known.profile, ...known.fields })
      .filter(([name]) => !withheld.has(name))
      .map(([name, value]) => `${name}: ${shown(value)}`),
  ];
  const results = Object.entries(known.results).map(([name, value]) => `${name}: ${shown(value)}`);
  return blocks(
    block("tools", toolLines),
    block(
      "guidance",
      guidance.map((line) => `- ${line}`),
    ),
    dataBlock("values", values),
    dataBlock("tool_results", results),
  );
}

function preferred(tool: Tool, aliases: ReadonlyMap<string, string>): object {
  const over = tool.preferredOverToolIds.flatMap((id) => aliases.get(id) ?? []);
  return over.length > 0 ? { preferred_over: over } : {};
}

/** Arguments whose value the engine does not have for certain. */
function openProperties(tool: Tool, known: Turn["known"]): Readonly<Record<string, JsonRecord>> {
  return Object.fromEntries(
    Object.entries(propertiesOf(tool.inputSchema)).filter(([name]) => {
      const source = tool.arguments[name];
      const settled = source?.constant !== undefined;
      return !settled && !(source?.from && lookUp(known, source.from) !== undefined);
    }),
  );
}

function shown(value: Json): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > shownLengthMax ? `${text.slice(0, shownLengthMax)}…` : text;
}

/**
 * A model's answer by tool id, with an entry for each tool that it was asked about: an empty one says
 * that the customer does not want it. A tool that was not in the question, an argument that the tool
 * does not have and the same call once more are left out; of a consequential tool, also a call that
 * the customer does not clearly want now.
 */
export function proposedCalls(
  tools: readonly Tool[],
  calls: readonly ProposedCall[],
): ReadonlyMap<string, readonly JsonRecord[]> {
  return new Map(
    tools.map((tool, i) => {
      const proposed = calls
        .filter((call) => call.tool === `t${i + 1}` && (call.now || !tool.consequential))
        .map((call) => argumentsOf(tool, call));
      const distinct = new Map(proposed.map((values) => [keyOf(values), values]));
      return [tool.id, [...distinct.values()]];
    }),
  );
}

function argumentsOf(tool: Tool, call: ProposedCall): JsonRecord {
  const properties = propertiesOf(tool.inputSchema);
  return Object.fromEntries(
    call.arguments
      .filter(({ name }) => Object.hasOwn(properties, name))
      .map(({ name, json }) => [name, parsed(json)]),
  );
}

function keyOf(values: JsonRecord): string {
  return JSON.stringify(Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function parsed(json: string): Json {
  try {
    return JSON.parse(json) as Json; // JSON.parse gives JSON
  } catch {
    return json; // a bare word: the schema decides whether it will do
  }
}
