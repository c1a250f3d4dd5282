import type { DescField, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { type JsonProblem, pathText, readMessage } from "@soldier/chassis/message-json";
import { requireValid } from "@soldier/chassis/validation";
import { Fault } from "@soldier/kernel/fault";
import { type AgentDocument, AgentDocumentSchema } from "@soldier/proto/config/v1/config_service";
import {
  type AgentSources,
  type FileProblem,
  placeOf,
  placeText,
  sourcesOf,
} from "./agent-sources.ts";
import { pathInDocument, pathOf } from "./field-paths.ts";
import { inFull } from "./short-forms.ts";
import { readYamlFiles, type YamlValue } from "./yaml-files.ts";

/** An agent as files hold it. */
export interface AgentFiles {
  readonly document: AgentDocument;
  /**
   * Where a field is that a problem of the config service names ("rules/greeting.guard",
   * "document.rules[3].examples[0]"): "conduct.yaml:12". Undefined when it is in no file.
   */
  placeOf(field: string): string | undefined;
}

/** Files that make no agent. The message has every problem, one a line. */
export class AgentFilesError extends Fault {
  /** "conduct.yaml:12: rules/greeting.priority: expected a whole number …", in the files' order. */
  readonly problems: readonly string[];

  constructor(directory: string, problems: readonly string[]) {
    const count = problems.length === 1 ? "a problem" : `${problems.length} problems`;
    const list = problems.map((problem) => `  ${problem}`).join("\n");
    super("invalid", `the agent files in ${directory} have ${count}:\n${list}`, {
      reason: "AGENT_FILES_INVALID",
    });
    this.problems = problems;
  }
}

/**
 * Reads an agent from the YAML files below a folder; lists of the same key are joined. Throws an
 * AgentFilesError with everything that is wrong with them, and a Fault when there are no files.
 */
export async function readAgentFiles(directory: string): Promise<AgentFiles> {
  const { contents, unreadable } = await readYamlFiles(directory);
  const problems: FileProblem[] = unreadable.map((one) => ({ ...one, field: "" }));
  const sources = sourcesOf(contents, problems);
  const document = readDocument(sources, problems);
  // What could not be parsed may hold what seems to be missing.
  if (!sources.agent && unreadable.length === 0)
    problems.push({ field: "agent", description: "is missing: a file must say which agent it is" });
  if (problems.length > 0 || !document)
    throw new AgentFilesError(directory, problems.toSorted(byPlace).map(textOf));
  return {
    document,
    placeOf(field) {
      const place = placeOf(sources, pathInDocument(document, field));
      return place && placeText(place);
    },
  };
}

function readDocument(sources: AgentSources, problems: FileProblem[]): AgentDocument | undefined {
  const found: JsonProblem[] = [];
  const json: JsonObject = {};
  for (const field of AgentDocumentSchema.fields) {
    if (field.fieldKind === "list") json[field.name] = listOf(field, sources, found);
    else if (sources.agent) json[field.name] = jsonOf(field, sources.agent, [field.name], found);
  }
  const { message, problems: wrong } = readMessage(AgentDocumentSchema, json);
  // What was not read at all breaks the contract's rules too; that is no news.
  const isTold = (path: JsonProblem["path"]) =>
    found.some((one) => one.path.every((part, index) => part === path[index]));
  found.push(...(message ? violations(message).filter(({ path }) => !isTold(path)) : wrong));
  for (const { path, description } of found) {
    if (path[0] === "agent" && !sources.agent) continue; // that it is missing is told in words
    const place = placeOf(sources, path);
    problems.push({ ...(place && { place }), field: fieldText(path, json), description });
  }
  return message;
}

function listOf(field: DescField, sources: AgentSources, found: JsonProblem[]): JsonValue[] {
  const firsts = new Map<string, YamlValue>();
  return (sources.lists.get(field.name) ?? []).map((source, index) => {
    const json = jsonOf(field, source, [field.name, index], found);
    const name = nameIn(json);
    const first = name === undefined ? undefined : firsts.get(name);
    if (first) {
      const description = `is already the name of the one at ${placeText(first)}`;
      found.push({ path: [field.name, index, "name"], description });
    } else if (name !== undefined) firsts.set(name, source);
    return json;
  });
}

function jsonOf(
  field: DescField,
  source: YamlValue,
  path: JsonProblem["path"],
  found: JsonProblem[],
): JsonValue {
  const json = source.json();
  if (json !== undefined && field.message) return inFull(field.message, json, path, found);
  found.push({ path, description: "has an alias (*name) of nothing, or far too many of them" });
  return {};
}

/** What breaks the contract's rules. */
function violations(document: AgentDocument): readonly JsonProblem[] {
  try {
    requireValid(AgentDocumentSchema, document);
    return [];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return error.fields.map(({ field, description }) => ({ path: pathOf(field), description }));
  }
}

/** "rules/greeting.priority", as the config service writes it; "relations[3].to" without a name. */
function fieldText(path: JsonProblem["path"], json: JsonObject): string {
  const [list = "", index, ...rest] = path;
  const items = json[list];
  const item = typeof index === "number" && Array.isArray(items) ? items[index] : undefined;
  const name = nameIn(item);
  return name === undefined
    ? pathText(path)
    : `${list}/${name}${pathText(["_", ...rest]).slice(1)}`;
}

function nameIn(json: JsonValue | undefined): string | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  return typeof json["name"] === "string" && json["name"] !== "" ? json["name"] : undefined;
}

function byPlace({ place: a }: FileProblem, { place: b }: FileProblem): number {
  const files = (a?.file ?? "").localeCompare(b?.file ?? "");
  return files === 0 ? (a?.line ?? 0) - (b?.line ?? 0) : files;
}

function textOf({ place, field, description }: FileProblem): string {
  return [...(place ? [placeText(place)] : []), ...(field ? [field] : []), description].join(": ");
}
