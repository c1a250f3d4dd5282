import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { Authority, FactState, type FactVersion } from "@soldier/proto/memory/v1/memory";
import {
  type CustomerProfile,
  FieldSource,
  FieldSourceSchema,
  type ProfileField,
} from "@soldier/proto/profile/v1/profile";
import { enumName } from "./enum-name.ts";
import { type Json, jsonOf, type JsonRecord } from "./json.ts";

/** How far a profile field can be relied on. */
export type FieldKnowledge = "verified" | "unconfirmed" | "disputed" | "expired";

const days = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "long",
  year: "numeric",
  timeZone: "UTC",
});

/** A day as people write it, e.g. "3 May 2026"; in UTC. */
export function dayOf(time: Timestamp | Date): string {
  return days.format(time instanceof Date ? time : timestampDate(time));
}

export function fieldKnowledge(field: ProfileField, now: Date): FieldKnowledge {
  if (isOver(field.expiresAt, now)) return "expired";
  if (field.pending.length > 0) return "disputed";
  return field.verification ? "verified" : "unconfirmed";
}

/** Where a field's value came from, when, and how sure it is, e.g. "said on 3 May 2026, not confirmed since". */
export function fieldNote(field: ProfileField, now: Date): string {
  const { verification, source, recordedAt, validFrom, validTo, expiresAt, pending } = field;
  const notes: string[] = [];
  if (verification) notes.push(verifiedNote(verification));
  else if (recordedAt) notes.push(`${origins[source] ?? "known since"} ${sourceDay(field)}`);
  if (validFrom && recordedAt && dayOf(validFrom) !== dayOf(recordedAt))
    notes.push(`true since ${dayOf(validFrom)}`);
  if (validTo && !isSame(validTo, expiresAt)) notes.push(`true until ${dayOf(validTo)}`);
  if (expiresAt)
    notes.push(`${isOver(expiresAt, now) ? "expired on" : "expires on"} ${dayOf(expiresAt)}`);
  const [other] = pending;
  if (other) notes.push(`disputed: ${otherNote(other)}`);
  return notes.join("; ");
}

function sourceDay({ recordedAt, source }: ProfileField): string {
  const day = recordedAt ? dayOf(recordedAt) : "";
  return unsure.has(source) ? `${day}, not confirmed since` : day;
}

function verifiedNote({ at, method }: NonNullable<ProfileField["verification"]>): string {
  const how = /^[\w .-]{1,60}$/.test(method) ? ` by ${method}` : "";
  return `verified${at ? ` on ${dayOf(at)}` : ""}${how}`;
}

function otherNote({ value, recordedAt }: ProfileField["pending"][number]): string {
  const said = quoted(jsonOf(value));
  const day = recordedAt ? ` on ${dayOf(recordedAt)}` : "";
  return `${said ?? "something else"} was said${day}`;
}

const quotedLengthMax = 200;

/** As JSON, so that nothing in it can look like ours; undefined for what is too long to be an aside. */
function quoted(value: Json | undefined): string | undefined {
  const text = value === undefined ? "" : JSON.stringify(value);
  return text === "" || text.length > quotedLengthMax ? undefined : text;
}

const origins: Partial<Record<FieldSource, string>> = {
  [FieldSource.SYSTEM_INFERRED]: "concluded on",
  [FieldSource.LLM_EXTRACTED]: "understood from what was said on",
  [FieldSource.USER_PROVIDED]: "said on",
  [FieldSource.DOCUMENT_EXTRACTED]: "read from a document on",
  [FieldSource.TOOL_RESULT]: "from our systems on",
  [FieldSource.HUMAN_ENTERED]: "entered by staff on",
};

/** Nobody but the customer, or a machine, stands for these. */
const unsure: ReadonlySet<FieldSource> = new Set([
  FieldSource.SYSTEM_INFERRED,
  FieldSource.LLM_EXTRACTED,
  FieldSource.USER_PROVIDED,
  FieldSource.DOCUMENT_EXTRACTED,
]);

/** The same of a fact. */
export function factNote(fact: FactVersion, now: Date): string {
  const { authority, claimIds, validFrom, validTo, state, reopenedByErasure } = fact;
  const saidAt = fact.lastConfirmedAt ?? fact.recordedAt;
  const notes: string[] = [];
  if (saidAt) {
    const again = claimIds.length > 1;
    const day = dayOf(saidAt);
    if (authority === Authority.VERIFIED) notes.push(`verified on ${day}`);
    else if (again)
      notes.push(`${tellers[authority] ?? "said"} ${claimIds.length} times, last on ${day}`);
    else notes.push(`${tellers[authority] ?? "said"} on ${day}, not confirmed since`);
    if (validFrom && dayOf(validFrom) !== day) notes.push(`true since ${dayOf(validFrom)}`);
  }
  if (validTo) notes.push(`${isOver(validTo, now) ? "was" : "is"} true until ${dayOf(validTo)}`);
  if (state === FactState.DISPUTED) notes.push("disputed: what is verified says otherwise");
  if (state === FactState.STALE_UNVERIFIED || reopenedByErasure)
    notes.push("uncertain: ask before you rely on it");
  return notes.join("; ");
}

const tellers: Partial<Record<Authority, string>> = {
  [Authority.INFERRED]: "concluded",
  [Authority.AGENT]: "said by us",
  [Authority.USER]: "said",
};

/** "current", "superseded", "disputed", "stale_unverified"; "" for a state of a newer contract. */
export function factState({ state }: FactVersion): string {
  return factStates[state] ?? "";
}

const factStates: Partial<Record<FactState, string>> = {
  [FactState.CURRENT]: "current",
  [FactState.SUPERSEDED]: "superseded",
  [FactState.DISPUTED]: "disputed",
  [FactState.STALE_UNVERIFIED]: "stale_unverified",
};

/**
 * What templates and expressions may say of how fields are known, by field: its state, a note in words,
 * days as people write them, and `age_days`, whole days since it was checked or, if never, stored.
 */
export function provenanceOf(profile: CustomerProfile | undefined, now: Date): JsonRecord {
  const known: JsonRecord = {};
  for (const [name, field] of Object.entries(profile?.fields ?? {})) {
    const { source, recordedAt, verification, validFrom, validTo, expiresAt } = field;
    if (isOver(expiresAt, now)) continue; // as the value itself
    const since = verification?.at ?? recordedAt;
    known[name] = {
      state: fieldKnowledge(field, now),
      note: fieldNote(field, now),
      source: enumName(FieldSourceSchema, source).toLowerCase(),
      ...(recordedAt && { recorded_on: dayOf(recordedAt) }),
      ...(verification?.at && { verified_on: dayOf(verification.at) }),
      ...(validFrom && { since: dayOf(validFrom) }),
      ...(validTo && { until: dayOf(validTo) }),
      ...(expiresAt && { expires_on: dayOf(expiresAt) }),
      ...(since && { age_days: wholeDays(timestampDate(since), now) }),
    };
  }
  return known;
}

function wholeDays(since: Date, now: Date): number {
  return Math.max(0, Math.floor((now.getTime() - since.getTime()) / 86_400_000));
}

/** What a fact says without the names of what it is about, e.g. "lives in". */
export function predicateWords(predicate: string): string {
  return predicate.replace(/^profile\./, "").replaceAll(/[_.]+/g, " ");
}

export function isOver(time: Timestamp | undefined, now: Date): boolean {
  return time !== undefined && timestampDate(time) <= now;
}

function isSame(a: Timestamp, b: Timestamp | undefined): boolean {
  return b !== undefined && a.seconds === b.seconds && a.nanos === b.nanos;
}
