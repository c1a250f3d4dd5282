import type { ExtractedField } from "@soldier/proto/audit/v1/turn_record";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { FieldDefinition } from "@soldier/proto/config/v1/tool";
import type { TurnTold } from "@soldier/proto/events/v1/events";
import { FieldSource } from "@soldier/proto/profile/v1/profile";
import { type NewClaim, valueLengthMax } from "../domain/claim.ts";
import { keepingOf, valueProblem } from "../domain/field-definitions.ts";
import { jsonOf } from "../domain/messages.ts";

/** As the contract has it for an update. */
const namePattern = /^[a-z][a-z0-9_]{0,62}$/;

/**
 * What was found in a turn for the customer's profile. What a pattern matched the customer has
 * written so; what a model found it has understood. It holds from when the turn was committed, whenever
 * the news of it comes. What no field can hold, or its definitions refuse, is left out.
 */
export function turnClaims(
  { turn, extractedFields }: TurnTold,
  definitions: readonly FieldDefinition[],
  now: Date,
): readonly NewClaim[] {
  if (!turn) return [];
  const committedAt = turn.committedAt && timestampDate(turn.committedAt);
  return extractedFields.flatMap((field): NewClaim[] => {
    const value = jsonOf(field.value);
    if (value === undefined || value === null || !namePattern.test(field.name)) return [];
    if (JSON.stringify(value).length > valueLengthMax) return [];
    const own = definitions.filter(({ name }) => name === field.name);
    if (valueProblem(value, own) !== undefined) return [];
    return [
      {
        name: field.name,
        value,
        source: sourceOf(field),
        confidence: Math.min(1, Math.max(0, field.confidence)),
        verified: undefined,
        // Clocks differ: what is said holds from now on at the latest.
        validFrom: committedAt && committedAt < now ? committedAt : undefined,
        validTo: undefined,
        expiresAt: undefined,
        sessionId: turn.sessionId,
        scenarioId: "",
        stepId: "",
        recordedBy: field.extractor,
        idempotencyKey: undefined,
        ...keepingOf(own),
      },
    ];
  });
}

function sourceOf({ extractor }: ExtractedField): FieldSource {
  return extractor === "pattern" ? FieldSource.USER_PROVIDED : FieldSource.LLM_EXTRACTED;
}
