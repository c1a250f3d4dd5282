import { isMessage } from "@bufbuild/protobuf";
import { isReflectList, isReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { JsonProblem } from "@soldier/chassis/message-json";
import { type AgentDocument, AgentDocumentSchema } from "@soldier/proto/config/v1/config_service";
import { type Relation, RelationKindSchema, RelationSchema } from "@soldier/proto/config/v1/rule";

type Path = JsonProblem["path"];

/** The path that a violation is written as: `arguments["a b"].from`, `rules[3].examples[0]`. */
export function pathOf(text: string): Path {
  const parts = text.matchAll(/\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|([^.[\]"]+)/g);
  return [...parts].map(([, index, key, name = ""]) => {
    if (index !== undefined) return Number(index);
    return key === undefined ? name : key.replace(/\\(.)/g, (_, letter) => unescaped(letter));
  });
}

/**
 * The path, within this document, of a field as the config service names it: by the request
 * ("document.rules[3].guard") or by the resource ("rules/greeting.guard").
 */
export function pathInDocument(document: AgentDocument, field: string): Path {
  const [, collection = "", rest = ""] = /^(\w+)\/(.*)$/s.exec(field) ?? [];
  const found = namesIn(document)
    .get(collection)
    // A relation's name may hold what separates fields, so the longest name that fits is meant.
    ?.map((name, index) => ({ name, index }))
    .filter(
      ({ name }) =>
        name !== "" && rest.startsWith(name) && /^([.[]|$)/.test(rest.slice(name.length)),
    )
    .toSorted((a, b) => b.name.length - a.name.length)[0];
  if (found) return [collection, found.index, ...pathOf(rest.slice(found.name.length))];
  return pathOf(field.replace(/^document\./, ""));
}

/** The names of the resources in each list of the document, by the list's name. */
function namesIn(document: AgentDocument): ReadonlyMap<string, readonly string[]> {
  const lists = AgentDocumentSchema.fields.filter(({ fieldKind }) => fieldKind === "list");
  return new Map(
    lists.map((field) => {
      const items = reflect(AgentDocumentSchema, document).get(field);
      return [field.name, isReflectList(items) ? Array.from(items, nameOf) : []];
    }),
  );
}

function nameOf(item: unknown): string {
  if (!isReflectMessage(item)) return "";
  const { message } = item;
  if (isMessage(message, RelationSchema) && message.name === "") return afterItsEnds(message);
  return "name" in message && typeof message.name === "string" ? message.name : "";
}

/** The name that the config service gives to a relation that has none. */
function afterItsEnds({ kind, from, to }: Relation): string {
  const ends = [from, ...to].map((end) => end?.target.value ?? "");
  return [RelationKindSchema.value[kind]?.localName.toLowerCase(), ...ends].join(":");
}

function unescaped(letter: string): string {
  return { n: "\n", r: "\r" }[letter] ?? letter;
}
