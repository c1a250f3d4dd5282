import { readdirSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, TomlError } from "smol-toml";
import type { z } from "zod";
import { nearest } from "@soldier/kernel/nearest";
import type { SettingsOf, Tables } from "./service.ts";
import { issueTexts } from "./settings-problem.ts";
import { fromEnvironment } from "./settings-environment.ts";
import { leaves, merged, type Tree, treeOf, valueAt } from "./settings-tree.ts";
import { unknownKey } from "./settings-known.ts";

/** Everything that was set, where each value came from, and what was wrong with it so far. */
export interface Document {
  readonly values: Tree;
  /** "table.key" to the file or variable that set it. */
  readonly sources: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
  /** Whether every file could be read; if not, a missing key is no news. */
  readonly complete: boolean;
}

/** Settings that cannot be used. The message names every problem, one a line. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    const count = problems.length === 1 ? "a problem" : `${problems.length} problems`;
    super(`the settings have ${count}:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

export interface SettingsSources {
  /** Holds default.toml and one file per environment; the repository's own unless given. */
  readonly directory?: string;
  /** More TOML files, each over the one before. */
  readonly files?: readonly string[];
  /** process.env unless given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The repository's config folder. */
export const configDirectory = fileURLToPath(new URL("../../../config", import.meta.url));

/**
 * Reads default.toml, over it the file that SOLDIER_ENV names (development unless set), the files
 * given, and environment variables: SOLDIER_SESSION__LEASE_MS sets lease_ms of [session], and
 * SOLDIER_IDENTITY__SECRET_FILE names a file that holds the value. Never throws: what is wrong is
 * in the document, and told together with what the schemas find.
 */
export function readSettings(from: SettingsSources = {}): Document {
  // oxlint-disable-next-line node/no-process-env -- the one place that reads the environment
  const { directory = configDirectory, files = [], env = process.env } = from;
  const base = readToml(join(directory, "default.toml"));
  const environment = environmentFile(directory, env["SOLDIER_ENV"] ?? "development");
  const overlays = [...environment.files, ...files].map((file) => readToml(file));
  const problems = [base, environment, ...overlays].flatMap((layer) => layer.problems);
  const complete = [base, ...overlays].every((layer) => layer.problems.length === 0);

  let document = layered(emptyDocument, base.values, base.name);
  for (const overlay of overlays) {
    for (const [path] of leaves(overlay.values)) {
      const unknown = unknownKey(base.values, path);
      if (unknown) problems.push(`${unknown} (from ${overlay.name})`);
    }
    document = layered(document, overlay.values, overlay.name);
  }
  const variables = fromEnvironment(env, base.values);
  problems.push(...variables.problems);
  for (const { path, value, name } of variables.values)
    document = layered(document, treeOf(path, value), `environment ${name}`);
  return { ...document, problems, complete };
}

/** A document from TOML text, with values over it: for tests and for programs that embed services. */
export function documentOf(toml: string, overrides: Tree = {}): Document {
  const read = parsed(toml, "the document");
  const document = layered(emptyDocument, read.values, read.name);
  const complete = read.problems.length === 0;
  return { ...layered(document, overrides, "the overrides"), problems: read.problems, complete };
}

/** The document with values over it. */
export function overridden(document: Document, overrides: Tree, source: string): Document {
  return layered(document, overrides, source);
}

/** The tables that a service reads. Throws a SettingsError with every problem there is. */
export function settingsFor<T extends Tables>(
  service: { readonly settings: T },
  document: Document,
): SettingsOf<T> {
  const problems = problemsIn(document, service.settings);
  if (problems.length > 0) throw new SettingsError(problems);
  const read = Object.entries(service.settings).map(([table, schema]) => [
    table,
    schema.parse(valueAt(document.values, [table]) ?? {}),
  ]);
  // Each table was parsed by the schema of its name: that is what SettingsOf says.
  return Object.fromEntries(read) as SettingsOf<T>;
}

/** Every problem of the document itself and of these tables. */
export function problemsIn(document: Document, ...tables: readonly Tables[]): readonly string[] {
  const schemas = new Map<string, z.ZodType>();
  for (const group of tables)
    for (const [table, schema] of Object.entries(group)) schemas.set(table, schema);
  const found = [...schemas].flatMap(([table, schema]) => {
    const read = schema.safeParse(valueAt(document.values, [table]) ?? {});
    return read.success
      ? []
      : read.error.issues.flatMap((issue) => issueTexts(issue, table, schema, document));
  });
  return [...new Set([...document.problems, ...found])];
}

const emptyDocument: Document = {
  values: {},
  sources: new Map(),
  problems: [],
  complete: true,
};

function layered(document: Document, values: Tree, source: string): Document {
  const sources = new Map(document.sources);
  for (const [path] of leaves(values)) sources.set(path.join("."), source);
  return { ...document, values: merged(document.values, values), sources };
}

interface Layer {
  readonly name: string;
  readonly values: Tree;
  readonly problems: readonly string[];
}

function readToml(path: string): Layer {
  const name = relative(process.cwd(), path);
  try {
    return parsed(readFileSync(path, "utf8"), name.startsWith("..") ? path : name);
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return { name, values: {}, problems: [`${name}: cannot be read (${reason})`] };
  }
}

function parsed(toml: string, name: string): Layer {
  try {
    return { name, values: parse(toml), problems: [] };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split("\n")[0]?.replace("Invalid TOML document: ", "") ?? "";
    return {
      name,
      values: {},
      problems: [`${name}:${error.line}:${error.column}: not valid TOML: ${reason}`],
    };
  }
}

function environmentFile(directory: string, name: string) {
  const known = environmentsIn(directory);
  if (known.includes(name)) return { files: [join(directory, `${name}.toml`)], problems: [] };
  const meant = nearest(name, known);
  const hint = meant ? `; did you mean ${meant}?` : `; there are ${known.join(", ")}`;
  return { files: [], problems: [`SOLDIER_ENV: no environment is called "${name}"${hint}`] };
}

function environmentsIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((file) => file.endsWith(".toml") && file !== "default.toml")
      .map((file) => basename(file, ".toml"));
  } catch {
    return []; // Reading default.toml from there has already said why.
  }
}
