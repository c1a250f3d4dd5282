import type { CustomerProfile } from "@soldier/proto/profile/v1/profile";
import type { FoundField } from "./fields.ts";
import type { Json } from "./json.ts";
import type { KnownValues } from "./known-values.ts";

/** What a message gives for fields, sorted by what becomes of it. */
export interface GivenFields {
  /** Values to keep. */
  readonly kept: readonly FoundField[];
  /** Names of those that had another value before. */
  readonly corrects: readonly string[];
  /** Something is given by its own form or by a model's reading, not merely as "the answer". */
  readonly isSure: boolean;
}

/** Found by its own form rather than taken for the answer to a question. */
const sureConfidence = 0.9;
/** A model's reading is believed from here on. */
const extractedConfidence = 0.85;

/**
 * The values that a message gives: what patterns find, then what a model read. What was only taken for
 * an answer is not one when the customer speaks of something else; and a model's reading never takes
 * the place of a verified value.
 */
export function givenFields(
  {
    found,
    extracted,
    known,
    profile,
  }: {
    readonly found: readonly FoundField[];
    readonly extracted: readonly FoundField[];
    readonly known: Pick<KnownValues, "fields" | "profile">;
    readonly profile: CustomerProfile | undefined;
  },
  speaksOfElse: boolean,
): GivenFields {
  const isVerified = (name: string) => profile?.fields[name]?.verification !== undefined;
  const byForm = found.filter(({ confidence }) => confidence >= sureConfidence);
  const read = extracted.filter(
    ({ name, confidence }) =>
      confidence >= extractedConfidence &&
      !isVerified(name) &&
      byForm.every((other) => other.name !== name),
  );
  const sure = [...byForm, ...read];
  const answers = found.filter(
    (each) =>
      each.confidence < sureConfidence &&
      !speaksOfElse &&
      sure.every((other) => other.name !== each.name),
  );
  const kept = [...sure, ...answers];
  const corrects = kept.flatMap(({ name, value }) => {
    const before = known.fields[name] ?? known.profile[name];
    return before !== undefined && !isSame(before, value) ? [name] : [];
  });
  return { kept, corrects, isSure: sure.length > 0 };
}

function isSame(a: Json, b: Json): boolean {
  // As text, since "5" and 5 say the same to a customer; objects by what they hold.
  const plain = (value: Json) =>
    typeof value === "object" ? JSON.stringify(value) : String(value).trim().toLowerCase();
  return plain(a) === plain(b);
}
