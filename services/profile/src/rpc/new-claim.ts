import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Fault, type FieldViolation } from "@soldier/kernel/fault";
import { FieldSource } from "@soldier/proto/profile/v1/profile";
import type { UpdateFieldRequest } from "@soldier/proto/profile/v1/profile_service";
import { type NewClaim, valueLengthMax } from "../domain/claim.ts";
import { jsonOf } from "../domain/messages.ts";

/** The claim in an update. Throws an "invalid" Fault that names every bad field. */
export function newClaim(req: UpdateFieldRequest, by: string, now: Date): NewClaim {
  const fields: FieldViolation[] = [];
  const value = jsonOf(req.value);
  if (value === undefined)
    fields.push({ field: "value", description: "must be JSON without NUL characters" });
  else if (JSON.stringify(value).length > valueLengthMax)
    fields.push({ field: "value", description: `must have at most ${valueLengthMax} characters` });
  if (req.verification && req.verification.method === "")
    fields.push({ field: "verification.method", description: "must say how it was checked" });
  const expiresAt = req.expiresAt && timestampDate(req.expiresAt);
  if (expiresAt && expiresAt <= now)
    fields.push({ field: "expires_at", description: "must be in the future" });
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
    expiresAt,
    sessionId: req.sessionId,
    scenarioId: req.scenarioId,
    stepId: req.stepId,
    recordedBy: by,
    idempotencyKey: req.idempotencyKey || undefined,
  };
}

/** When none is said: people and tools mean what they say, conclusions don't. */
function confidenceOf(source: FieldSource): number {
  return source <= FieldSource.LLM_EXTRACTED ? 0 : 1; // numbered from the weakest
}
