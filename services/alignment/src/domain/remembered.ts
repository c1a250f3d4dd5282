import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { type FieldUse, FieldUseSchema, type MemoryUse } from "@soldier/proto/audit/v1/turn_record";
import type { MemoryHit } from "@soldier/proto/memory/v1/memory_service";
import {
  type CustomerProfile,
  FieldSource,
  type ProfileField,
} from "@soldier/proto/profile/v1/profile";
import { select, type SelectionStrategy } from "@soldier/retrieval/selection";
import { says } from "./folded-text.ts";
import { jsonOf } from "./json.ts";
import type { KnownValues } from "./known-values.ts";
import { costOf, indented, memoryLine, set } from "./memory-lines.ts";
import { fieldKnowledge, fieldNote } from "./provenance.ts";
import { spoken } from "./templates.ts";

/** Something that is known of the customer, as a prompt would tell it and the record does. */
export interface Remembered {
  /** What the record says of it; `used` is decided when a reply is made. */
  readonly use: FieldUse | MemoryUse;
  /** What a prompt says: what it is, since when and how it is known. Never a part of a sentence. */
  readonly line: string;
  readonly tokens: number;
  /** 0 to 1. */
  readonly score: number;
  /** Why a prompt may not say it; empty when it may. */
  readonly out: string;
}

export interface RememberedQuestion {
  readonly profile: CustomerProfile | undefined;
  /** Of a customer whose profile could not be read no consent is known. */
  readonly profileFailed: boolean;
  readonly known: KnownValues;
  /** Best first. */
  readonly hits: readonly MemoryHit[];
  readonly selection: SelectionStrategy;
  readonly tokensMax: number;
  readonly now: Date;
}

/**
 * What a prompt may tell of the customer, and what not and why: for want of consent, because its time is
 * over, by its score, or for want of room. Profile fields have half of the room before memories have the
 * rest, facts first; the best come first, and one that is too long leaves its room to others.
 */
export function remembered(question: RememberedQuestion): readonly Remembered[] {
  const { tokensMax } = question;
  const fields = fitting(fieldsOf(question).toSorted(byScore), Math.floor(tokensMax / 2));
  const restTokens = tokensMax - tokensOf(fields);
  const hits = hitsOf(question).toSorted(byScore);
  const memories = [...hits.filter(isFact), ...hits.filter((hit) => !isFact(hit))];
  return [...fields, ...fitting(memories, restTokens)];
}

/** Facts of a customer that are told at most. */
export const factsMax = 8;

/**
 * A fact is a short line, and holds: the best are worth their room whatever is asked, so that they need
 * not score as what was merely said.
 */
const ofFacts: SelectionStrategy = {
  kind: "fixed_k",
  k: factsMax,
  min_k: 0,
  max_k: factsMax,
  min_score: 0,
};

export function isField(use: Remembered["use"]): use is FieldUse {
  return use.$typeName === FieldUseSchema.typeName;
}

/** What prompts may tell of memory. */
export function memoryLines(all: readonly Remembered[]): readonly string[] {
  return all.filter(({ use, out }) => !isField(use) && out === "").map(({ line }) => line);
}

function isFact({ use }: Remembered): boolean {
  return !isField(use) && use.kind === "fact";
}

function byScore(a: Remembered, b: Remembered): number {
  return b.score - a.score; // toSorted keeps the order of equals
}

function tokensOf(all: readonly Remembered[]): number {
  return all.reduce((sum, { out, tokens }) => sum + (out === "" ? tokens : 0), 0);
}

function fitting(all: readonly Remembered[], tokensMax: number): readonly Remembered[] {
  let restTokens = tokensMax;
  return all.map((each) => {
    if (each.out !== "") return each;
    if (each.tokens > restTokens)
      return { ...each, out: `tokens: needs ${each.tokens}, ${restTokens} are left` };
    restTokens -= each.tokens;
    return each;
  });
}

function fieldsOf({ profile, known, now }: RememberedQuestion): readonly Remembered[] {
  const all = Object.entries(profile?.fields ?? {}).toSorted(
    ([a, one], [b, other]) => msOf(other.recordedAt) - msOf(one.recordedAt) || (a < b ? -1 : 1),
  );
  return all.flatMap(([name, field]) => {
    const value = jsonOf(field.value);
    if (value === undefined) return [];
    const state = fieldKnowledge(field, now);
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const line = `- ${name} [${fieldNote(field, now)}]: ${indented(text)}`;
    const purpose = known.withheld.get(name)?.purpose;
    const expired = state === "expired" ? "expired: it counts as unknown" : "";
    const out = purpose === undefined ? expired : consentOut(purpose);
    const tokens = costOf(line);
    const { recordedAt, validFrom, validTo, expiresAt, verification } = field;
    const use = create(FieldUseSchema, {
      name,
      state,
      tokens,
      ...set({ recordedAt, validFrom, validTo, expiresAt, verifiedAt: verification?.at }),
    });
    return { use, line, tokens, score: fieldScore(field), out };
  });
}

/** Fields have no score of their own for a message: the surest first. */
function fieldScore({ verification, source }: ProfileField): number {
  if (verification) return 1;
  return source >= FieldSource.USER_PROVIDED ? 0.9 : 0.8;
}

function hitsOf(question: RememberedQuestion): readonly Remembered[] {
  const { hits, selection } = question;
  // Each kind has scores of its own.
  const kinds = Map.groupBy(hits, ({ found }) => found.case);
  return [...kinds.values()].flatMap((alike) => {
    const { kept, reason } = select(
      alike.map(({ score }) => score),
      alike[0]?.found.case === "fact" ? ofFacts : selection,
    );
    const chosen = new Set(kept);
    return alike.flatMap((hit, i) => {
      const made = memoryLine(hit, question.now);
      if (!made) return [];
      const consent = withheldIn(hit, made.line, question);
      const unselected = chosen.has(i) ? "" : `selection: ${reason}`;
      return { ...made, out: consent || unselected || made.out };
    });
  });
}

/** The purpose for want of which a memory is held back: of its fact, or of a value that is in its words. */
function withheldIn(
  { found }: MemoryHit,
  line: string,
  { known, profile, profileFailed }: RememberedQuestion,
): string {
  const { withheld } = known;
  if (profileFailed && withheld.size > 0) return "consent: the profile could not be read";
  for (const [name, { purpose }] of withheld) {
    const isOfField =
      found.case === "fact" && [name, `profile.${name}`].includes(found.value.predicate);
    if (isOfField || valuesOf(name, known, profile).some((value) => says(line, value)))
      return consentOut(purpose);
  }
  return "";
}

/** Shorter values are in many words that have nothing to do with them. */
const tellingLength = 3;

function valuesOf(
  name: string,
  { fields }: KnownValues,
  profile: CustomerProfile | undefined,
): readonly string[] {
  const field = profile?.fields[name];
  const all = [
    jsonOf(field?.value),
    ...(field?.pending.map(({ value }) => jsonOf(value)) ?? []),
    fields[name],
  ];
  return all.flatMap((value) => {
    const text = typeof value === "boolean" ? undefined : spoken(value);
    return text !== undefined && text.length >= tellingLength ? [text] : [];
  });
}

function consentOut(purpose: string): string {
  return `consent: ${purpose}`;
}

function msOf(time: Timestamp | undefined): number {
  return time ? timestampDate(time).getTime() : 0;
}

/** What of it a reply made use of, for the record. */
export function usesOf(
  all: readonly Remembered[],
  { shown, fields, unused }: Used,
): { readonly memories: MemoryUse[]; readonly profileUses: FieldUse[] } {
  const uses = all.map((one) => {
    const used = isField(one.use) ? fields.includes(one.use.name) : shown.includes(one);
    return { ...one.use, used, reason: used ? "" : one.out || `unused: ${unused}` };
  });
  return {
    memories: uses.filter((use) => !isField(use)) as MemoryUse[],
    profileUses: uses.filter((use) => isField(use)),
  };
}

export interface Used {
  /** Shown to the model that wrote the reply. */
  readonly shown: readonly Remembered[];
  /** Fields shown to a model or said by a template. */
  readonly fields: readonly string[];
  /** Why what could have been used was not. */
  readonly unused: string;
}
