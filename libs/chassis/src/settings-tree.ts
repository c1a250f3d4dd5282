/** What a TOML file or a JSON override holds, before any schema has looked at it. */
export type Tree = { readonly [key: string]: unknown };

export function isTree(value: unknown): value is Tree {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Each value that is not a table, with its path; an empty table counts as a value. */
export function* leaves(tree: Tree, path: readonly string[] = []): Generator<[string[], unknown]> {
  for (const [key, value] of Object.entries(tree)) {
    const here = [...path, key];
    if (isTree(value) && Object.keys(value).length > 0) yield* leaves(value, here);
    else yield [here, value];
  }
}

/** Tables are joined; anything else is replaced by what lies over it. */
export function merged(base: Tree, over: Tree): Tree {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    result[key] = isTree(below) && isTree(value) ? merged(below, value) : value;
  }
  return result;
}

export function valueAt(tree: Tree, path: readonly PropertyKey[]): unknown {
  let here: unknown = tree;
  for (const key of path) {
    if (typeof here !== "object" || here === null) return undefined;
    here = Reflect.get(here, key);
  }
  return here;
}

/** A tree with one value in it. */
export function treeOf(path: readonly string[], value: unknown): Tree {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Tree; // path is not empty
}
