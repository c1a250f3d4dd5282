import { segmentsOf } from "@soldier/kernel/template-text";
import type { CustomerProfile } from "@soldier/proto/profile/v1/profile";
import type { CompiledBundle } from "./compiled-bundle.ts";
import { withheldFields } from "./fields.ts";
import type { KnownValues } from "./known-values.ts";
import type { TemplateCandidate } from "./templates.ts";

export interface ProfileUse {
  /** Fields that a model was shown, or that stand in the words that were said. */
  readonly profileFieldsUsed: string[];
  /** Fields that were held back from a model that was asked. */
  readonly profileFieldsWithheld: string[];
}

/** Which profile fields a reply made use of, for the record. */
export function profileUse(
  turn: { bundle: CompiledBundle; profile: CustomerProfile | undefined; known: KnownValues },
  said: readonly TemplateCandidate[],
  isModelAsked: boolean,
): ProfileUse {
  const { bundle, profile, known } = turn;
  const spoken = said
    .flatMap(({ parts }) => parts)
    .flatMap((part) => (part.kind === "value" ? (profileFieldOf(part.name, known) ?? []) : []));
  const withheld = isModelAsked ? withheldFields(bundle.fields, profile) : new Set<string>();
  const seen = isModelAsked ? Object.keys(known.profile) : [];
  return {
    profileFieldsUsed: [...new Set([...spoken, ...seen.filter((name) => !withheld.has(name))])],
    profileFieldsWithheld: seen.filter((name) => withheld.has(name)),
  };
}

/** The field that a name was filled in from, looked for as the name itself is: variables go first. */
function profileFieldOf(name: string, known: KnownValues): string | undefined {
  const [head = "", next] = segmentsOf(name);
  if (head === "profile") return next;
  return head in known.profile && !(head in known.variables) ? head : undefined;
}
