import { readFile } from "node:fs/promises";
import { z } from "zod";

const fileShape = z.object({
  rules: z
    .array(
      z.object({
        id: z.string().min(1),
        condition: z.string().trim().min(1),
        examples: z.array(z.string().trim().min(1)).default([]),
      }),
    )
    .min(1),
  utterances: z
    .array(
      z.object({
        text: z.string().trim().min(1),
        /** Those that apply; null or none where no rule does. */
        rule: z
          .union([z.string(), z.array(z.string())])
          .nullish()
          .transform((rule) => (rule == null || rule === "" ? [] : [rule].flat())),
      }),
    )
    .min(1),
});

export interface LabelledRules {
  readonly rules: readonly {
    readonly id: string;
    readonly condition: string;
    readonly examples: readonly string[];
  }[];
  readonly utterances: readonly { readonly text: string; readonly rules: readonly string[] }[];
}

/** Reads rules with messages labelled by them; throws a sentence for people when the file is no such. */
export async function readLabelled(path: string): Promise<LabelledRules> {
  const text = await readFile(path, "utf8").catch((error: Error) => {
    throw new Error(`${path} can't be read: ${error.message}`, { cause: error });
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is not JSON: ${String(error)}`, { cause: error });
  }
  const parsed = fileShape.safeParse(json);
  if (!parsed.success)
    throw new Error(`${path} has no labelled rules:\n${z.prettifyError(parsed.error)}`);
  const { rules, utterances } = parsed.data;
  const ids = new Set(rules.map(({ id }) => id));
  if (ids.size < rules.length) throw new Error(`${path} has two rules of one id`);
  utterances.forEach(({ rule }, i) => {
    const unknown = rule.find((id) => !ids.has(id));
    if (unknown !== undefined)
      throw new Error(`${path}: utterances[${i}] names the rule "${unknown}", which is not there`);
  });
  return {
    rules,
    utterances: utterances.map(({ text: said, rule }) => ({ text: said, rules: rule })),
  };
}
