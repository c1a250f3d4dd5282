import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import type { JsonValue } from "@bufbuild/protobuf";
import { protoSnakeCase } from "@bufbuild/protobuf/reflect";
import { Fault } from "@soldier/kernel/fault";
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
} from "yaml";

/** A value in a YAML file. */
export interface YamlValue {
  readonly file: string;
  /** Where it begins; 1 is the first. */
  readonly line: number;
  /** Undefined when it holds what JSON cannot, such as an alias of nothing. */
  json(): JsonValue | undefined;
  /** The entries of a map. */
  entries(): readonly (readonly [key: string, value: YamlValue])[] | undefined;
  /** The items of a list. */
  items(): readonly YamlValue[] | undefined;
  /** The line of what the path leads to, or of as much of it as there is. */
  lineOf(path: readonly (string | number)[]): number;
}

/** Why a file, or a part of it, could not be read. */
export interface Unreadable {
  readonly place: { readonly file: string; readonly line?: number };
  readonly description: string;
}

export interface YamlFiles {
  /** The contents of every document that is not empty. */
  readonly contents: readonly YamlValue[];
  readonly unreadable: readonly Unreadable[];
}

/**
 * Reads every *.yaml and *.yml below a folder, in the order of their paths; hidden folders and
 * node_modules are left out. Throws a Fault when there is no such folder, or nothing in it.
 */
export async function readYamlFiles(directory: string): Promise<YamlFiles> {
  const files = await yamlFilesIn(directory);
  if (files.length === 0)
    throw new Fault("not-found", `there are no YAML files in ${directory}`, {
      reason: "FILES_MISSING",
    });
  const read = await Promise.all(files.map((file) => readYamlFile(join(directory, file))));
  return {
    contents: read.flatMap(({ contents }) => contents),
    unreadable: read.flatMap(({ unreadable }) => unreadable),
  };
}

/** Paths relative to the folder. Throws a Fault when there is no such folder. */
export async function yamlFilesIn(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true }).catch((error: unknown) => {
    const reason = errorCode(error) === "ENOTDIR" ? "is no folder" : "cannot be read";
    throw new Fault("not-found", `${directory} ${reason} (${errorCode(error)})`, {
      reason: "FILES_MISSING",
    });
  });
  const isOurs = (path: string) => !/(^|[\\/])(\.|node_modules[\\/])/.test(path);
  return entries.filter((path) => /\.ya?ml$/.test(path) && isOurs(path)).toSorted();
}

async function readYamlFile(path: string): Promise<YamlFiles> {
  const shorter = relative(process.cwd(), path);
  const file = shorter.startsWith("..") ? path : shorter;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const description = `cannot be read (${errorCode(error)})`;
    return { contents: [], unreadable: [{ place: { file }, description }] };
  }
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const unreadable = documents.flatMap(({ errors, warnings }) =>
    [...errors, ...warnings].map(({ pos: [start], message }) => ({
      place: { file, line: lines.linePos(start).line },
      description: `not valid YAML: ${message}`,
    })),
  );
  const contents = documents.flatMap((document) => {
    const { contents: node } = document;
    const isEmpty = node === null || (isScalar(node) && node.value === null);
    return isEmpty || document.errors.length > 0 ? [] : [valueOf(node, { document, file, lines })];
  });
  return { contents, unreadable };
}

interface Source {
  readonly document: Document;
  readonly file: string;
  readonly lines: LineCounter;
}

function valueOf(node: Node, source: Source, line = lineOf(node, source)): YamlValue {
  const target = resolved(node, source);
  return {
    file: source.file,
    line,

    json() {
      try {
        // Without custom tags YAML's values are JSON's.
        return node.toJS(source.document) as JsonValue;
      } catch (error) {
        if (error instanceof ReferenceError) return undefined;
        throw error;
      }
    },

    entries: () =>
      isMap<Node, Node>(target)
        ? target.items.map(({ key, value }) => {
            const at = lineOf(key, source);
            return [textOf(key), valueOf(value ?? key, source, at)];
          })
        : undefined,

    items: () =>
      isSeq<Node>(target) ? target.items.map((item) => valueOf(item, source)) : undefined,

    lineOf(path) {
      const [part, ...rest] = path;
      if (part === undefined) return line;
      if (typeof part === "number") return this.items()?.[part]?.lineOf(rest) ?? line;
      const all = this.entries();
      const found =
        all?.find(([key]) => key === part) ?? all?.find(([key]) => protoSnakeCase(key) === part);
      return found?.[1].lineOf(rest) ?? line;
    },
  };
}

function resolved(node: Node, { document }: Source): Node | undefined {
  return isAlias(node) ? node.resolve(document) : node;
}

function textOf(key: Node): string {
  return isScalar(key) ? String(key.value) : String(key);
}

function lineOf(node: Node, { lines }: Source): number {
  return lines.linePos(node.range?.[0] ?? 0).line;
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
