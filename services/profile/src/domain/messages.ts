import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { timestampFromDate, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type PendingField,
  PendingFieldSchema,
  type ProfileField,
  ProfileFieldSchema,
} from "@soldier/proto/profile/v1/profile";
import type { Claim, Standing } from "./claim.ts";
import type { Span } from "./timeline.ts";

/** A field as clients see it. */
export function fieldMessage({ holding, pending }: Standing, span?: Span): ProfileField {
  const field = span
    ? spanMessage(span)
    : spanMessage({ claim: holding, from: holding.validFrom, to: holding.validTo });
  return { ...field, pending: pending.map(pendingMessage) };
}

/** One value that a field has had, with when. */
export function spanMessage({ claim, from, to }: Omit<Span, "disputed">): ProfileField {
  const { name, source, sessionId, scenarioId, stepId, confidence, verified, expiresAt } = claim;
  return create(ProfileFieldSchema, {
    name,
    value: valueMessage(claim.value),
    source,
    sessionId,
    scenarioId,
    stepId,
    confidence,
    recordedAt: timestampFromDate(claim.recordedAt),
    recordedBy: claim.recordedBy,
    customerId: claim.customerId,
    validFrom: timestampFromDate(from),
    ...(to && { validTo: timestampFromDate(to) }),
    ...(verified && { verification: { ...verified, at: timestampFromDate(verified.at) } }),
    ...(expiresAt && { expiresAt: timestampFromDate(expiresAt) }),
  });
}

function pendingMessage(claim: Claim): PendingField {
  const { source, confidence, sessionId } = claim;
  return create(PendingFieldSchema, {
    value: valueMessage(claim.value),
    source,
    confidence,
    recordedAt: timestampFromDate(claim.recordedAt),
    sessionId,
  });
}

function valueMessage(value: JsonValue): Value {
  return fromJson(ValueSchema, value);
}

/** The JSON in a value; undefined for one that JSON or the database cannot hold. */
export function jsonOf(value: Value | undefined): JsonValue | undefined {
  if (!value?.kind.case) return undefined;
  try {
    const json = toJson(ValueSchema, value);
    return JSON.stringify(json).includes("\\u0000") ? undefined : json;
  } catch {
    return undefined; // a number that is not finite, a list with an empty member
  }
}
