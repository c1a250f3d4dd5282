import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";

/** What a tenant's things are called: by the name of the field that takes it, e.g. "session_id". */
export class KnownIds {
  readonly #byField = new Map<string, string[]>();

  add(field: string, ...values: readonly string[]): void {
    const known = this.#byField.get(field) ?? [];
    for (const value of values) if (value && !known.includes(value)) known.push(value);
    this.#byField.set(field, known);
  }

  /** The first; with -1 the last. */
  at(field: string, place = 0): string {
    const value = this.#byField.get(field)?.at(place);
    if (value === undefined) throw new Error(`the world has no ${field}`);
    return value;
  }

  find(field: string, place = 0): string | undefined {
    return this.#byField.get(field)?.at(place);
  }

  all(): readonly string[] {
    return [...this.#byField.values()].flat();
  }

  /** Notes the id and the name of every resource of the message. */
  learn(desc: DescMessage, message: Message): void {
    const kind = snake(desc.name);
    const held = message as Message & { readonly id?: unknown; readonly name?: unknown };
    if (typeof held.id === "string") this.add(`${kind}_id`, held.id);
    if (typeof held.name === "string" && isName.test(held.name))
      this.add(`${kind}_name`, held.name);
  }

  /** What of this tenant a field of a request could be meant to hold. */
  fitting(field: DescField): string {
    const owner = snake(field.parent.name);
    const name = field.name.replace(/_ids$/, "_id");
    const shorter = name.split("_").map((_, i, words) => words.slice(i).join("_"));
    const candidates = [`${owner}_${name}`, ...shorter, aliases[name] ?? "", "agent_id"];
    for (const candidate of candidates) {
      const found = this.find(candidate);
      if (found !== undefined) return found;
    }
    throw new Error(`the world has nothing for ${field.parent.name}.${field.name}`);
  }
}

/** Some names are for people, and so texts. */
const isName = /^[a-z0-9_]+$/;

/** Fields whose name does not say whose id they take. */
const aliases: Readonly<Record<string, string>> = {
  subject: "entity_id",
  object: "entity_id",
  variable: "variable_name",
  field: "field_definition_name",
  argument: "field_definition_name",
  collects: "field_definition_name",
};

export function snake(name: string): string {
  return name.replaceAll(/(?<=[a-z0-9])([A-Z])/g, "_$1").toLowerCase();
}

/** Whether a field names something: by its name, and because it holds text. */
export function isIdLike(field: DescField): boolean {
  return named.test(field.name) && holdsText(field);
}

const named =
  /(^|_)(id|ids|key|token|etag|slug|name|names|agent|customer|variable|subject|object|end|tools_done|collects|fields|field|argument|by|rules|recorded_by|actor|uri)$/;

function holdsText(field: DescField): boolean {
  if (field.fieldKind === "scalar") return field.scalar === ScalarType.STRING;
  if (field.fieldKind !== "list" || field.listKind !== "scalar") return false;
  return field.scalar === ScalarType.STRING;
}
