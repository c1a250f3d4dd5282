import { type JsonObject, toJson } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate, ValueSchema } from "@bufbuild/protobuf/wkt";
import type { FieldViolation } from "@soldier/kernel/fault";
import { isId, newId } from "@soldier/kernel/ids";
import {
  Authority as MessageAuthority,
  type Claim as ClaimMessage,
  ClaimKind as MessageKind,
  TimeBasis as MessageBasis,
} from "@soldier/proto/memory/v1/memory";
import {
  type Authority,
  type ClaimKind,
  claimIdOf,
  type ClaimValue,
  type NewClaim,
} from "../domain/claim.ts";

/** Reads a claim, or says by the message's fields why it can't be stored. */
export function newClaim(message: ClaimMessage): NewClaim | readonly FieldViolation[] {
  const fields = violations(message);
  const kind = kinds[message.kind];
  if (fields.length > 0 || !kind) return fields;
  const claim: Omit<NewClaim, "id"> = {
    kind,
    subject: message.subject,
    predicate: message.predicate,
    value: valueOf(message),
    validFrom: message.validFrom && timestampDate(message.validFrom),
    validTo: message.validTo && timestampDate(message.validTo),
    timeBasis: bases[message.timeBasis] ?? (message.validFrom ? "stated" : "assumed"),
    target: message.targetClaimId || undefined,
    episodeId: message.episodeId || undefined,
    spanStart: message.spanStart,
    spanEnd: message.spanEnd,
    authority: authorityNames[message.authority] ?? "inferred",
    confidence: message.confidence,
    extractor: message.extractor || "operator",
    attributes: message.attributes,
  };
  // An operator's word is new each time.
  const derived = () => (claim.episodeId ? claimIdOf(message.groupId, claim) : newId());
  return { ...claim, id: message.id || derived() };
}

const lengthMax = 256;
const names = ["id", "groupId", "subject", "predicate", "targetClaimId", "extractor"] as const;
const fieldNames: Record<(typeof names)[number], string> = {
  id: "id",
  groupId: "group_id",
  subject: "subject",
  predicate: "predicate",
  targetClaimId: "target_claim_id",
  extractor: "extractor",
};

function violations(claim: ClaimMessage): readonly FieldViolation[] {
  const found: FieldViolation[] = [];
  const bad = (field: string, description: string) => found.push({ field, description });
  const { kind, value, validFrom, validTo, targetClaimId } = claim;
  for (const name of names)
    if (claim[name].length > lengthMax || claim[name].includes("\0"))
      bad(fieldNames[name], `must have at most ${lengthMax} characters, none of them NUL`);
  if (!kinds[kind]) bad("kind", "must be assert, end or retract");
  if (claim.groupId === "") bad("group_id", "must name a group");
  if (claim.recordedAt) bad("recorded_at", "is given by the service: leave it unset");
  if (targetClaimId !== "" && kind === MessageKind.ASSERT)
    bad("target_claim_id", "is for end and retract");
  if (targetClaimId === "") {
    if (claim.subject === "") bad("subject", "must name an entity");
    if (claim.predicate === "") bad("predicate", "must name a predicate");
    if (value.case === undefined && kind !== MessageKind.END)
      bad("object", "must be set, or literal");
  }
  if (value.case === "object" && (value.value === "" || value.value.length > lengthMax))
    bad("object", `must name an entity, in at most ${lengthMax} characters`);
  if (value.case === "literal" && literalOf(value.value) === undefined)
    bad("literal", "must be a value without NUL characters or infinite numbers");
  for (const [field, time] of [
    ["valid_from", validFrom],
    ["valid_to", validTo],
  ] as const)
    if (time && !isStorable(time)) bad(field, "must be a time of the years 1 to 9999");
  if (kind === MessageKind.END && validFrom)
    bad("valid_from", "of an end: say in valid_to when it ended");
  if (kind === MessageKind.RETRACT && (validFrom || validTo))
    bad("valid_from", "a retract takes all of it back: leave its times unset");
  if (
    kind === MessageKind.ASSERT &&
    validFrom &&
    validTo &&
    timestampDate(validFrom) >= timestampDate(validTo)
  )
    bad("valid_to", "must be after valid_from");
  for (const problem of attributeProblems(claim.attributes)) bad("attributes", problem);
  if (claim.attributes && kind !== MessageKind.ASSERT) bad("attributes", "are for assert");
  if (claim.episodeId !== "" && !isId(claim.episodeId))
    bad("episode_id", "must be an episode's id");
  if (claim.spanStart < 0 || claim.spanEnd < claim.spanStart)
    bad("span_end", "must not be before span_start, nor that before 0");
  if (!(claim.confidence >= 0 && claim.confidence <= 1)) bad("confidence", "must be 0 to 1");
  return found;
}

const attributesMax = 100;
const attributesLengthMax = 16_384;

function attributeProblems(attributes: JsonObject | undefined): readonly string[] {
  if (!attributes) return [];
  const given = Object.keys(attributes);
  const json = JSON.stringify(attributes);
  return [
    given.length > attributesMax && `must be at most ${attributesMax}`,
    given.some((name) => name === "" || name.length > lengthMax) &&
      `must have names of 1 to ${lengthMax} characters`,
    json.length > attributesLengthMax &&
      `must have at most ${attributesLengthMax} characters as JSON`,
    json.includes(String.raw`\u0000`) && "must not have NUL characters",
  ].filter((problem) => problem !== false);
}

const [yearOne, yearLast] = [-62_135_596_800_000, Date.UTC(9999, 11, 31)]; // Date.UTC takes 1 for 1901

function isStorable(time: Timestamp): boolean {
  const ms = timestampDate(time).getTime();
  return ms >= yearOne && ms <= yearLast;
}

function valueOf({ value }: ClaimMessage): ClaimValue | undefined {
  if (value.case === "object") return { kind: "entity", id: value.value };
  return value.case === "literal" ? literalOf(value.value) : undefined;
}

function literalOf(
  value: Parameters<typeof toJson<typeof ValueSchema>>[1],
): ClaimValue | undefined {
  try {
    const json = toJson(ValueSchema, value);
    return JSON.stringify(json).includes(String.raw`\u0000`)
      ? undefined
      : { kind: "literal", json };
  } catch {
    return undefined; // an empty value, NaN or infinity: JSON has no word for it
  }
}

const kinds: Readonly<Record<number, ClaimKind | undefined>> = {
  [MessageKind.ASSERT]: "assert",
  [MessageKind.END]: "end",
  [MessageKind.RETRACT]: "retract",
};

const bases: Readonly<Record<number, NewClaim["timeBasis"] | undefined>> = {
  [MessageBasis.STATED]: "stated",
  [MessageBasis.INFERRED]: "inferred",
  [MessageBasis.ASSUMED]: "assumed",
};

const authorityNames: Readonly<Record<number, Authority | undefined>> = {
  [MessageAuthority.INFERRED]: "inferred",
  [MessageAuthority.AGENT]: "agent",
  [MessageAuthority.USER]: "user",
  [MessageAuthority.VERIFIED]: "verified",
};
