import type { JsonValue } from "@bufbuild/protobuf";
import type { FieldSource } from "@soldier/proto/profile/v1/profile";

/** Somebody's word on a field, with where it came from. */
export interface NewClaim {
  readonly name: string;
  readonly value: JsonValue;
  readonly source: FieldSource;
  /** 0 to 1. */
  readonly confidence: number;
  /** Undefined when nobody checked it. */
  readonly verified: Verified | undefined;
  /** True from here on; undefined: from when it is recorded. */
  readonly validFrom: Date | undefined;
  /** True until then; undefined: until something else is. */
  readonly validTo: Date | undefined;
  /** After this the value counts as unknown; undefined for never. */
  readonly expiresAt: Date | undefined;
  /** Where in which conversation; empty when in none. */
  readonly sessionId: string;
  readonly scenarioId: string;
  readonly stepId: string;
  readonly recordedBy: string;
  /** The same key is the same claim; undefined: each is one of its own. */
  readonly idempotencyKey: string | undefined;
  /** Its field's definition asks for encryption at rest. */
  readonly encrypted: boolean;
  /** How long its field's definition keeps it, in milliseconds; undefined: as long as the customer. */
  readonly retentionMs: number | undefined;
}

/** How a value was checked. */
export interface Verified {
  /** E.g. "email_link", "kyc"; never empty. */
  readonly method: string;
  readonly by: string;
  readonly at: Date;
}

/** A claim as stored. Claims are never changed. */
export interface Claim extends Omit<NewClaim, "retentionMs"> {
  readonly id: string;
  /** Whom it was said about: after a merge one of several. */
  readonly customerId: string;
  /** That customer's version from this claim on. */
  readonly version: number;
  /** What became of it when it came. */
  readonly outcome: ClaimOutcome;
  readonly recordedAt: Date;
  readonly validFrom: Date;
  /** By retention; undefined for never. */
  readonly deleteAfter: Date | undefined;
}

/** How a field stands at some instant: follows from its claims. */
export interface Standing {
  /** The claim that holds. */
  readonly holding: Claim;
  /** Weaker claims against a verified value, the latest first. */
  readonly pending: readonly Claim[];
}

/** What becomes of a claim. */
export type ClaimOutcome =
  /** It is the field's value from its beginning on. */
  | "applied"
  /** It says what is known already, no better. */
  | "confirmed"
  /** A verified value stands against it. */
  | "pending";

/** Longest value, in characters of its JSON. */
export const valueLengthMax = 16_384;

/** Weaker claims kept in sight for one field; older ones stay in the table of claims. */
const pendingMax = 10;

/** What a claim weighs. */
export type Weighed = Pick<NewClaim, "value" | "source" | "verified">;

/**
 * What becomes of a claim against the one that holds; undefined when none does, or no longer. The
 * last word counts, until a value is verified: then only a word that weighs as much displaces it,
 * which is a verified one from a source as strong, or an unverified one from a stronger source. A
 * customer's unverified word does not displace the customer's verified one: anybody could be
 * writing.
 */
export function outcomeOf(claim: Weighed, holding: Weighed | undefined): ClaimOutcome {
  if (!holding) return "applied";
  const stronger = claim.source - holding.source; // sources are numbered from the weakest
  if (sameValue(claim.value, holding.value)) {
    const better = claim.verified
      ? !holding.verified || stronger >= 0
      : !holding.verified && stronger >= 0;
    return better ? "applied" : "confirmed";
  }
  if (!holding.verified) return "applied";
  return (claim.verified ? stronger >= 0 : stronger > 0) ? "applied" : "pending";
}

/** How the field stands after a claim with that outcome. */
export function standingAfter(
  claim: Claim,
  outcome: ClaimOutcome,
  before: Standing | undefined,
): Standing {
  if (!before || outcome === "applied") return { holding: claim, pending: [] };
  if (outcome === "confirmed") return before;
  const others = before.pending.filter(({ value }) => !sameValue(value, claim.value));
  return { ...before, pending: [claim, ...others].slice(0, pendingMax) };
}

/** When its value stops being known, though nothing else was said; undefined for never. */
export function knownUntil(claim: Pick<Claim, "expiresAt" | "deleteAfter">): Date | undefined {
  const { expiresAt, deleteAfter } = claim;
  if (!expiresAt || !deleteAfter) return expiresAt ?? deleteAfter;
  return expiresAt < deleteAfter ? expiresAt : deleteAfter;
}

/** Whether two values are the same JSON, whatever the order of keys. */
export function sameValue(a: JsonValue, b: JsonValue): boolean {
  return a === b || canonical(a) === canonical(b);
}

function canonical(value: JsonValue): string {
  return JSON.stringify(value, (_, part: JsonValue) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
