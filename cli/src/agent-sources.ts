import type { JsonProblem } from "@soldier/chassis/message-json";
import { nearest } from "@soldier/kernel/nearest";
import { AgentDocumentSchema } from "@soldier/proto/config/v1/config_service";
import type { YamlValue } from "./yaml-files.ts";

/** Where in the files each part of an agent's document is. */
export interface AgentSources {
  readonly agent: YamlValue | undefined;
  /** By the name of the document's list: its items, in the list's order. */
  readonly lists: ReadonlyMap<string, readonly YamlValue[]>;
}

export interface Place {
  readonly file: string;
  /** Unknown when the file could not be read. */
  readonly line?: number;
}

/** One thing that keeps files from being an agent. */
export interface FileProblem {
  /** Unknown when something is in no file. */
  readonly place?: Place;
  /** "rules/greeting.priority"; empty for a whole file. */
  readonly field: string;
  readonly description: string;
}

const fields = AgentDocumentSchema.fields;
const names = fields.map(({ name }) => name);

/** Sorts what the files hold by the fields of the document. Lists of the same name are joined. */
export function sourcesOf(contents: readonly YamlValue[], problems: FileProblem[]): AgentSources {
  const lists = new Map<string, readonly YamlValue[]>();
  let agent: YamlValue | undefined;
  for (const content of contents) {
    const entries = content.entries();
    if (!entries) {
      const description = `expected an object with some of ${names.join(", ")}`;
      problems.push({ place: content, field: "", description });
    }
    for (const [key, value] of entries ?? []) {
      const told = (description: string) =>
        problems.push({ place: value, field: key, description });
      const field = fields.find(({ name, jsonName }) => key === name || key === jsonName);
      if (!field) told(unknownKey(key));
      else if (field.fieldKind !== "list") {
        if (agent) told(`is the second one, after that at ${placeText(agent)}`);
        agent ??= value;
      } else {
        const items = value.items() ?? (value.json() === null ? [] : undefined);
        if (!items) told("expected a list");
        lists.set(field.name, [...(lists.get(field.name) ?? []), ...(items ?? [])]);
      }
    }
  }
  return { agent, lists };
}

/** Where the field is, or the smallest part around it that the files have. */
export function placeOf(sources: AgentSources, path: JsonProblem["path"]): Place | undefined {
  const [field, ...rest] = path;
  if (field === "agent") return placeIn(sources.agent, rest);
  const [index, ...within] = rest;
  if (typeof field !== "string" || typeof index !== "number") return undefined;
  return placeIn(sources.lists.get(field)?.[index], within);
}

/** "examples/shop/conduct.yaml:12" */
export function placeText({ file, line }: Place): string {
  return line === undefined ? file : `${file}:${line}`;
}

function placeIn(source: YamlValue | undefined, path: JsonProblem["path"]): Place | undefined {
  return source && { file: source.file, line: source.lineOf(path) };
}

function unknownKey(key: string): string {
  const meant = nearest(key, names);
  return `there is no such key; ${meant ? `did you mean ${meant}?` : `there are ${names.join(", ")}`}`;
}
