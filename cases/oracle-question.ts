import type { WireRequest } from "@soldier/ai/testing";
import { z } from "zod";

/** A JSON schema as far as the stand-in has to know it. */
export interface Schema {
  readonly type?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

/** What a model is asked. */
export interface Question {
  /** The last message. */
  readonly text: string;
  /** Everything, system prompt and history included. */
  readonly prompt: string;
  /** The shape of the answer; undefined: words for the customer. */
  readonly schema: Schema | undefined;
  /** Lines between <name> and </name>, of the last message, else of the system prompt. */
  block(name: string): readonly string[];
  /** Entries "id: text" of a block, by id. */
  entries(name: string): ReadonlyMap<string, string>;
}

const schemaShape: z.ZodType<Schema> = z.custom<Schema>((value) => value instanceof Object);

/** The schema with what it refers to in place of each reference. */
function inPlace(schema: Schema, root: Schema): Schema {
  const { $ref: ref, ...own } = schema;
  if (ref !== undefined) {
    const found = root.$defs?.[ref.replace("#/$defs/", "")];
    return found ? { ...inPlace(found, root), ...own } : own;
  }
  const { properties, items, anyOf } = own;
  return {
    ...own,
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, part]) => [name, inPlace(part, root)]),
      ),
    }),
    ...(items && { items: inPlace(items, root) }),
    ...(anyOf && { anyOf: anyOf.map((part) => inPlace(part, root)) }),
  };
}

export function questionOf({ system, messages, output_config }: WireRequest): Question {
  const text = messages.at(-1)?.content ?? "";
  const prompt = [
    ...system.map((part) => part.text),
    ...messages.map(({ content }) => content),
  ].join("\n\n");
  const format = output_config?.format;
  const root = format && schemaShape.parse(format.schema);
  const schema = root && inPlace(root, root);
  const block = (name: string): readonly string[] => {
    const found = new RegExp(`<${name}>\\n([\\s\\S]*?)\\n</${name}>`).exec(text + "\n" + prompt);
    return found?.[1]?.split("\n") ?? [];
  };
  return {
    text,
    prompt,
    schema,
    block,
    entries(name) {
      const entries = new Map<string, string>();
      let last = "";
      for (const line of block(name)) {
        const [, id, rest = ""] = /^-?\s*([\w.-]+):(?:\s(.*))?$/s.exec(line) ?? [];
        // A line that begins with no id goes on with the entry before it.
        if (id === undefined) entries.set(last, `${entries.get(last) ?? ""}\n${line}`);
        else entries.set((last = id), rest);
      }
      return entries;
    },
  };
}
