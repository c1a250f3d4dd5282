import { readFileSync } from "node:fs";
import { nearest } from "@soldier/kernel/nearest";
import { isKnown, pathsOf } from "./settings-known.ts";
import { type Tree, valueAt } from "./settings-tree.ts";

const prefix = "SOLDIER_";

/** Variables with our prefix that are no settings. */
const others: ReadonlySet<string> = new Set(["SOLDIER_ENV", "SOLDIER_URL", "SOLDIER_TOKEN"]);

/** Names that other programs use too, for the settings that they stand for unless ours is given. */
const usual: ReadonlyMap<string, string> = new Map([
  ["ANTHROPIC_API_KEY", "SOLDIER_MODEL__API_KEY"],
]);

export interface Variable {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly name: string;
}

/**
 * The settings among the environment's variables, each in the type that its default has. One that
 * ends in _FILE, and is no setting itself, names a file with the value: how secrets are mounted.
 */
export function fromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  known: Tree,
): { readonly values: readonly Variable[]; readonly problems: readonly string[] } {
  const values: Variable[] = [];
  const problems: string[] = [];
  for (const [given, text] of Object.entries(env)) {
    const name = usualFor(given, env, known) ?? given;
    if (text === undefined || !isSetting(name)) continue;
    const read = variable(name, text, known);
    if (typeof read === "string") problems.push(read);
    else values.push(read);
  }
  return { values, problems };
}

function usualFor(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
  known: Tree,
): string | undefined {
  const ours = usual.get(name);
  if (ours === undefined || env[ours] !== undefined || env[`${ours}_FILE`] !== undefined)
    return undefined;
  return isKnown(known, ours.slice(prefix.length).toLowerCase().split("__")) ? ours : undefined;
}

function isSetting(name: string): boolean {
  return name.startsWith(prefix) && !name.startsWith("SOLDIER_TEST_") && !others.has(name);
}

/** The setting, or what is wrong with it. */
function variable(name: string, text: string, known: Tree): Variable | string {
  const path = name.slice(prefix.length).toLowerCase().split("__");
  const last = path.at(-1) ?? "";
  // Below a table that is open to any name, a name that ends so means the file, too.
  const open = valueAt(known, path) === undefined && last.endsWith("_file");
  if (isKnown(known, path) && !open) return typed(name, path, text, known);
  const target = [...path.slice(0, -1), last.replace(/_file$/, "")];
  if (!last.endsWith("_file") || !isKnown(known, target)) {
    const meant = nearest(name, [...others, ...pathsOf(known).map(variableOf)]);
    return `${name}: there is no such setting${meant ? `; did you mean ${meant}?` : ""}`;
  }
  try {
    return typed(name, target, readFileSync(text, "utf8").trim(), known);
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return `${name}: the file that it names cannot be read (${reason})`;
  }
}

function typed(name: string, path: readonly string[], text: string, known: Tree) {
  const standard = valueAt(known, path);
  if (typeof standard === "number") {
    const value = Number(text);
    if (text.trim() === "" || Number.isNaN(value))
      return `${name}: expected a number; found a string of ${text.length} characters`;
    return { path, value, name };
  }
  if (typeof standard === "boolean") {
    if (text !== "true" && text !== "false")
      return `${name}: expected true or false; found a string of ${text.length} characters`;
    return { path, value: text === "true", name };
  }
  if (Array.isArray(standard)) {
    const items = text.split(",").map((item) => item.trim());
    return { path, value: items.filter((item) => item !== ""), name };
  }
  return { path, value: text, name };
}

/** The variable that sets "table.key". */
export function variableOf(path: string): string {
  return prefix + path.toUpperCase().replaceAll(".", "__");
}
