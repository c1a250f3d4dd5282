import { nearest } from "@soldier/kernel/nearest";
import { isTree, leaves, type Tree } from "./settings-tree.ts";

/**
 * Says so when default.toml has no such key; every setting there is stands in that file. Below a
 * table that is empty there any name may be set.
 */
export function unknownKey(known: Tree, path: readonly string[]): string | undefined {
  if (isKnown(known, path)) return undefined;
  const meant = nearest(path.join("."), pathsOf(known));
  return `${path.join(".")}: there is no such setting${meant ? `; did you mean ${meant}?` : ""}`;
}

export function isKnown(known: Tree, path: readonly string[]): boolean {
  let here: unknown = known;
  for (const key of path) {
    if (!isTree(here)) return true; // The default is a value: its schema will say what may be here.
    if (Object.keys(here).length === 0 && here !== known) return true;
    if (!Object.hasOwn(here, key)) return false;
    here = here[key];
  }
  return true;
}

export function pathsOf(known: Tree): string[] {
  return [...leaves(known)].map(([path]) => path.join("."));
}
