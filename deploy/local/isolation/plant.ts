import {
  clone,
  create,
  type DescField,
  type DescMessage,
  isMessage,
  type Message,
} from "@bufbuild/protobuf";
import { isIdLike } from "./ids.ts";

/** The way to a field that names something, from a request down. */
export type Path = readonly DescField[];

const depthMax = 6;

/** Every way to such a field, through messages, lists, maps and oneofs; a message in itself once. */
export function idPaths(desc: DescMessage, above: readonly DescMessage[] = []): readonly Path[] {
  if (above.length >= depthMax || above.includes(desc)) return [];
  return desc.fields.flatMap((field): readonly Path[] => {
    if (isIdLike(field)) return [[field]];
    const inner = messageIn(field);
    if (!inner || inner.typeName.startsWith("google.protobuf.")) return [];
    return idPaths(inner, [...above, desc]).map((path) => [field, ...path]);
  });
}

function messageIn(field: DescField): DescMessage | undefined {
  if (field.fieldKind === "message") return field.message;
  if (field.fieldKind === "list" && field.listKind === "message") return field.message;
  if (field.fieldKind === "map" && field.mapKind === "message") return field.message;
  return undefined;
}

/** "document.rules[].id" */
export function pathName(path: Path): string {
  return path.map(({ name, fieldKind }) => name + (suffix[fieldKind] ?? "")).join(".");
}

const suffix: Readonly<Record<string, string>> = { list: "[]", map: "{}" };

/** The request with that value in that field; messages on the way are made when they are not there. */
export function planted(desc: DescMessage, request: Message, path: Path, value: string): Message {
  const message = clone(desc, request);
  plantIn(message, path, value);
  return message;
}

type Fields = Record<string, unknown>;

function plantIn(message: Message, [field, ...rest]: Path, value: string): void {
  if (!field) return;
  const here = holderOf(message, field);
  if (rest.length === 0) {
    here.set(field.fieldKind === "list" ? [value] : value);
    return;
  }
  const inner = messageIn(field);
  if (!inner) throw new Error(`${field.name} holds no message`);
  const found = here.get();
  if (field.fieldKind === "list") {
    const items = Array.isArray(found) ? (found as Message[]) : []; // a list of messages
    const first = items[0] ?? create(inner);
    plantIn(first, rest, value);
    here.set([first, ...items.slice(1)]);
  } else if (field.fieldKind === "map") {
    const made = create(inner);
    plantIn(made, rest, value);
    here.set({ ...(found as object), [value]: made }); // the key is planted, too
  } else {
    const made = (found as Message | undefined) ?? create(inner);
    plantIn(made, rest, value);
    here.set(made);
  }
}

/** Where a field's value is in a message: a member of a oneof is in its group. */
function holderOf(message: Message, field: DescField) {
  const fields = message as unknown as Fields; // generated messages are plain objects
  const group = field.oneof?.localName;
  if (group === undefined)
    return {
      get: () => fields[field.localName],
      set: (value: unknown) => void (fields[field.localName] = value),
    };
  const held = fields[group] as { case?: string; value?: unknown };
  return {
    get: () => (held.case === field.localName ? held.value : undefined),
    set: (value: unknown) => void (fields[group] = { case: field.localName, value }),
  };
}

/** How many messages of the way are there already: the more, the better the request suits the path. */
export function depthOf(request: Message, [field, ...rest]: Path): number {
  if (!field || rest.length === 0) return 0;
  const found = holderOf(request, field).get();
  const inner = field.fieldKind === "list" && Array.isArray(found) ? (found[0] as unknown) : found;
  return isMessage(inner) ? 1 + depthOf(inner, rest) : 0;
}
