/** A path of the contract's annotations, e.g. /v1/agents/{agent_id}/rules/{rule.id}:verb. */
export interface PathTemplate {
  readonly segments: readonly Segment[];
}

export type Segment =
  | { readonly kind: "literal"; readonly text: string }
  /** Any text but an empty one, for the field at this path; then perhaps `:verb`. */
  | { readonly kind: "field"; readonly path: readonly string[]; readonly verb: string };

/** Throws on what the annotations allow and no contract of ours uses: {name=shelves/*} and **. */
export function pathTemplate(text: string): PathTemplate {
  const [first, ...segments] = text.split("/");
  if (first !== "" || segments.length === 0) throw new Error(`${text}: a path begins with /`);
  return { segments: segments.map((segment) => segmentOf(segment, text)) };
}

function segmentOf(segment: string, template: string): Segment {
  const field = /^\{([\w.]+)\}(:\w+)?$/.exec(segment);
  if (field) return { kind: "field", path: (field[1] ?? "").split("."), verb: field[2] ?? "" };
  if (segment === "" || /[{}*=]/.test(segment))
    throw new Error(`${template}: the segment "${segment}" is of a form that is not known here`);
  return { kind: "literal", text: segment };
}

/** What a path says: text for each of the template's fields, in their order. */
export interface PathMatch<T> {
  readonly found: T;
  readonly values: readonly string[];
}

/** Finds what was added under the template that a path matches. A literal goes before a field. */
export interface PathTable<T> {
  /** What belongs to a template; made when there is nothing yet. */
  at(template: PathTemplate, make: () => T): T;
  /** The path is as it came: still percent-encoded. Throws a URIError when that is malformed. */
  match(path: string): PathMatch<T> | undefined;
}

interface Node<T> {
  readonly literals: Map<string, Node<T>>;
  /** By verb; "" when the segment is the field alone. */
  readonly fields: Map<string, Node<T>>;
  value?: T;
}

export function pathTable<T>(): PathTable<T> {
  const root = node<T>();
  return {
    at(template, make) {
      let here = root;
      for (const segment of template.segments) {
        const [next, key] =
          segment.kind === "literal"
            ? ([here.literals, segment.text] as const)
            : ([here.fields, segment.verb] as const);
        here = next.get(key) ?? added(next, key);
      }
      here.value ??= make();
      return here.value;
    },
    match(path) {
      const segments = path.split("/").slice(1).map(decodeURIComponent);
      return matchFrom(root, segments, []);
    },
  };
}

function matchFrom<T>(
  here: Node<T>,
  segments: readonly string[],
  values: readonly string[],
): PathMatch<T> | undefined {
  const [segment, ...rest] = segments;
  if (segment === undefined)
    return here.value === undefined ? undefined : { found: here.value, values };
  const literal = here.literals.get(segment);
  const found = literal && matchFrom(literal, rest, values);
  if (found) return found;
  for (const [verb, next] of here.fields) {
    const value = segment.slice(0, segment.length - verb.length);
    if (value === "" || !segment.endsWith(verb)) continue;
    const match = matchFrom(next, rest, [...values, value]);
    if (match) return match;
  }
  return undefined;
}

function node<T>(): Node<T> {
  return { literals: new Map(), fields: new Map() };
}

function added<T>(nodes: Map<string, Node<T>>, key: string): Node<T> {
  const made = node<T>();
  nodes.set(key, made);
  // A verb is looked for before the field alone, which would take it for part of the value.
  if (key === "") return made;
  const plain = nodes.get("");
  if (plain && key.startsWith(":")) {
    nodes.delete("");
    nodes.set("", plain);
  }
  return made;
}
