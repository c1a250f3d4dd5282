import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Fault, type FieldViolation } from "@soldier/kernel/fault";
import { FieldSource } from "@soldier/proto/profile/v1/profile";
import type { UpdateFieldRequest } from "@soldier/proto/profile/v1/profile_service";
import type { FieldDefinition } from "@soldier/proto/config/v1/tool";
import { type NewClaim, valueLengthMax } from "../domain/claim.ts";
import { keepingOf, valueViolations } from "../domain/field-definitions.ts";
import { jsonOf } from "../domain/messages.ts";

/**
 * The claim in an update, held to its field's definitions. Throws an "invalid" Fault that names every
 * bad field.
 */
export function newClaim(
  req: UpdateFieldRequest,
  definitions: readonly FieldDefinition[],
  by: string,
  now: Date,
): NewClaim {
  const fields: FieldViolation[] = [];
  const value = jsonOf(req.value);
  if (value === undefined)
    fields.push({ field: "value", description: "must be JSON without NUL characters" });
  else if (JSON.stringify(value).length > valueLengthMax)
    fields.push({ field: "value", description: `must have at most ${valueLengthMax} characters` });
  else fields.push(...valueViolations(value, definitions));
  if (req.verification && req.verification.method === "")
    fields.push({ field: "verification.method", description: "must say how it was checked" });
  const expiresAt = req.expiresAt && timestampDate(req.expiresAt);
  if (expiresAt && expiresAt <= now)
    fields.push({ field: "expires_at", description: "must be in the future" });
  const validFrom = req.validFrom && timestampDate(req.validFrom);
  const validTo = req.validTo && timestampDate(req.validTo);
  if (validTo && validTo <= (validFrom ?? now))
    fields.push({
      field: "valid_to",
      description: "must be after valid_from, which is now when unset",
    });
  if (expiresAt && validFrom && expiresAt <= validFrom)
    fields.push({ field: "expires_at", description: "must be after valid_from" });
  if (value === undefined || fields.length > 0)
    throw new Fault("invalid", "the field cannot be updated", { reason: "FIELD_INVALID", fields });
  const { verification } = req;
  return {
    name: req.name,
    value,
    source: req.source,
    confidence: req.confidence || confidenceOf(req.source),
    verified: verification && {
      method: verification.method,
      by: verification.by || by,
      at: verification.at ? timestampDate(verification.at) : now,
    },
    validFrom,
    validTo,
    expiresAt,
    sessionId: req.sessionId,
    scenarioId: req.scenarioId,
    stepId: req.stepId,
    recordedBy: by,
    idempotencyKey: req.idempotencyKey || undefined,
    ...keepingOf(definitions),
  };
}

/** When none is said: people and tools mean what they say, conclusions don't. */
function confidenceOf(source: FieldSource): number {
  return source <= FieldSource.LLM_EXTRACTED ? 0 : 1; // numbered from the weakest
}
