import { create } from "@bufbuild/protobuf";
import { segmentsOf } from "@soldier/kernel/template-text";
import { type WithheldField, WithheldFieldSchema } from "@soldier/proto/audit/v1/turn_record";
import type { KnownValues } from "./known-values.ts";
import type { TemplateCandidate } from "./templates.ts";

export interface ProfileUse {
  /** Fields that a model was shown, or that stand in the words that were said. */
  readonly profileFieldsUsed: string[];
  /** Fields with a value that were held back from a model that was asked, or from what could be said. */
  readonly profileFieldsWithheld: string[];
  /** The same, with why. */
  readonly withheldFields: WithheldField[];
}

/**
 * Which profile fields a reply made use of, and which it could not, for the record. `seen`: those that a
 * model was told; undefined when none was asked.
 */
export function profileUse(
  { known }: { readonly known: KnownValues },
  candidates: readonly TemplateCandidate[],
  said: readonly TemplateCandidate[],
  seen: readonly string[] | undefined,
): ProfileUse {
  const spoken = said
    .flatMap(({ parts }) => parts)
    .flatMap((part) => (part.kind === "value" ? (profileFieldOf(part.name, known) ?? []) : []));
  const wanted = new Set([
    ...Object.keys(seen ? { ...known.profile, ...known.fields } : {}),
    ...candidates.flatMap(({ withheld }) => withheld),
  ]);
  const withheld = [...known.withheld].filter(([name]) => wanted.has(name));
  return {
    profileFieldsUsed: [
      ...new Set([...spoken, ...(seen ?? []).filter((name) => !known.withheld.has(name))]),
    ],
    profileFieldsWithheld: withheld.map(([name]) => name),
    withheldFields: withheld.map(([name, why]) => create(WithheldFieldSchema, { name, ...why })),
  };
}

/** The field that a name was filled in from, looked for as the name itself is: variables go first. */
function profileFieldOf(name: string, known: KnownValues): string | undefined {
  const [head = "", next] = segmentsOf(name);
  if (head === "profile" || head === "provenance") return next;
  return head in known.profile && !(head in known.variables) ? head : undefined;
}
