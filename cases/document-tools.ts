import type { JsonObject } from "@bufbuild/protobuf";
import { ResultLifespan } from "@soldier/proto/config/v1/tool";
import type { CaseAgent, CaseTool } from "./case-file.ts";
import type { Document } from "./document.ts";
import { valueOf } from "./engine-words.ts";
import type { CaseNames } from "./names.ts";

type Tools = NonNullable<Document["tools"]>;

export function toolsOf(agent: CaseAgent, { things }: CaseNames, url: string): Tools {
  return agent.tools.map((tool) => ({
    name: things.of(tool.name),
    description: tool.description || tool.name.replaceAll("_", " "),
    inputSchema: inputSchema(tool),
    ...(tool.returns_schema && { outputSchema: tool.returns_schema as JsonObject }), // cases are JSON
    consequential: tool.consequential,
    idempotent: tool.idempotent,
    retriesMax: tool.retries,
    timeout: { seconds: 5n },
    directs: directives(tool) !== undefined,
    ...(tool.lifespan && {
      resultLifespan: tool.lifespan === "response" ? ResultLifespan.TURN : ResultLifespan.SESSION,
    }),
    preferredOverToolIds: agent.relations
      .filter(({ kind, from }) => kind === "tools_overlap" && from === tool.name)
      .flatMap(({ to }) => to.map((name) => things.of(name))),
    arguments: Object.fromEntries(
      Object.entries(tool.arguments).map(([name, source]) => [name, sourceOf(source)]),
    ),
    kind: {
      case: "http" as const,
      value: { method: "POST", url: `${url}/${encodeURIComponent(tool.name)}` },
    },
  }));
}

function sourceOf({ constant, from, pattern, ask }: Readonly<Record<string, unknown>>) {
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return {
    ...(constant !== undefined && { constant: valueOf(constant) }),
    from: text(from),
    pattern: text(pattern),
    ask: text(ask),
  };
}

export function inputSchema({ params, required }: CaseTool): JsonObject {
  return {
    type: "object",
    properties: Object.fromEntries(
      Object.entries(params).map(([name, type]) => [name, typeOf(type)]),
    ),
    required: [...required],
  };
}

function typeOf(given: CaseTool["params"][string]): JsonObject {
  if (typeof given !== "string") return given as JsonObject; // cases are JSON
  const type = given.replace(/\?$/, "");
  const plain = { int: "integer", float: "number", bool: "boolean" }[type] ?? type;
  if (["string", "integer", "number", "boolean"].includes(plain)) return { type: plain };
  if (type.endsWith("[]")) return { type: "array", items: typeOf(type.slice(0, -2)) };
  if (type.includes("|")) return { type: "string", enum: type.split("|") };
  // A shape in letters, such as DD-MM-YYYY.
  if (/^[DMYhms]+([-/.: ][DMYhms]+)+$/i.test(type))
    return {
      type: "string",
      description: type,
      pattern: `^${type.replaceAll(/[.]/g, "\\.").replaceAll(/[a-z]/gi, "[0-9]")}$`,
    };
  return { type: "string", description: type };
}

/** What the tool's server answers. */
export function answerOf(tool: CaseTool): JsonObject {
  const { returns } = tool;
  const plain = returns instanceof Object && !Array.isArray(returns);
  const answer = (plain ? returns : { result: returns ?? "done" }) as JsonObject; // cases are JSON
  const directing = directives(tool);
  return directing ? { ...answer, soldier: directing } : answer;
}

/** How a tool steers the turn beside what it answers; undefined when it does not. */
function directives({
  fields,
  returns_rules: rules,
  returns_variables: variables,
  hand_off: handOff,
}: CaseTool): JsonObject | undefined {
  const given = {
    ...(Object.keys(fields).length > 0 && { fields }),
    ...(rules.length > 0 && {
      rules: rules.map(({ when, then, priority }) => ({
        ...(when !== undefined && { condition: when }),
        action: then,
        ...(priority !== undefined && { priority }),
      })),
    }),
    ...(Object.keys(variables).length > 0 && { variables }),
    ...(handOff && { hand_off: true }),
  };
  return Object.keys(given).length > 0 ? (given as JsonObject) : undefined; // cases are JSON
}
