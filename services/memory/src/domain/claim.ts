import { createHash } from "node:crypto";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** What a claim does: says that something is so, that it no longer is, or that it never was. */
export type ClaimKind = "assert" | "end" | "retract";

/** How much a claim weighs, rising. */
export const authorities = ["inferred", "agent", "user", "verified"] as const;
export type Authority = (typeof authorities)[number];

export type TimeBasis = "stated" | "inferred" | "assumed";

/** What is said of a subject: another entity, or a plain value. */
export type ClaimValue =
  | { readonly kind: "entity"; readonly id: string }
  | { readonly kind: "literal"; readonly json: JsonValue };

/** A claim that is about to be stored. */
export interface NewClaim {
  readonly id: string;
  readonly kind: ClaimKind;
  /** Empty, with the predicate, when a target says which claim is meant. */
  readonly subject: string;
  readonly predicate: string;
  /** Undefined: of an END, whatever holds; of a claim with a target, the target's. */
  readonly value: ClaimValue | undefined;
  readonly validFrom: Date | undefined;
  /** Excluded; undefined is open. Of an END: when it ended. */
  readonly validTo: Date | undefined;
  readonly timeBasis: TimeBasis;
  /** END, RETRACT: the claim that is meant; undefined: every one of the same subject, predicate and value. */
  readonly target: string | undefined;
  /** Where it was said; undefined: an operator's own word. */
  readonly episodeId: string | undefined;
  /** Characters of the episode's text, the end excluded. */
  readonly spanStart: number;
  readonly spanEnd: number;
  readonly authority: Authority;
  readonly confidence: number;
  readonly extractor: string;
  /** What else an ASSERT says of its fact, by name; undefined: nothing. */
  readonly attributes?: JsonObject | undefined;
}

/** A claim as stored. Nothing of it ever changes. */
export interface Claim extends NewClaim {
  readonly groupId: string;
  /** When it was said: the episode's time, or that of its storing when there is no episode. */
  readonly saidAt: Date;
  readonly recordedAt: Date;
}

/** From when on an ASSERT holds. Never unknown, or nothing could ever take its place. */
export function beginning(claim: Pick<Claim, "validFrom" | "saidAt">): number {
  return (claim.validFrom ?? claim.saidAt).getTime();
}

/** Until when an ASSERT was stated to hold, Infinity when open; of an END: when it ended. */
export function ending(claim: Pick<Claim, "kind" | "validTo" | "saidAt">): number {
  if (claim.kind === "end") return (claim.validTo ?? claim.saidAt).getTime();
  return claim.validTo?.getTime() ?? Infinity;
}

/** The same text for the same value: entities and literals never meet, keys of objects have no order. */
export function valueKey(value: ClaimValue): string {
  return value.kind === "entity" ? `e:${value.id}` : `l:${canonicalJson(value.json)}`;
}

/** The same text for the same JSON: keys of objects have no order. */
export function canonicalJson(json: JsonValue): string {
  if (Array.isArray(json)) return `[${json.map(canonicalJson).join(",")}]`;
  if (json === null || typeof json !== "object") return JSON.stringify(json);
  const entries = Object.entries(json).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonicalJson(each)}`).join(",")}}`;
}

/**
 * The id of what is said where: reading an episode again stores nothing anew. Another extractor, or
 * another version of it, says it anew.
 */
export function claimIdOf(groupId: string, claim: Omit<NewClaim, "id">, round = 0): string {
  const { episodeId, extractor, spanStart, spanEnd, kind, subject, predicate, value, target } =
    claim;
  const said = [subject, predicate, value ? valueKey(value) : "", target ?? ""];
  const place = [groupId, episodeId, extractor, spanStart, spanEnd, kind];
  const attributes = Object.keys(claim.attributes ?? {}).length > 0 ? [claim.attributes ?? {}] : [];
  const more = [...attributes.map(canonicalJson), ...(round > 0 ? [round] : [])];
  const parts = [...place, ...said, ...more];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}
