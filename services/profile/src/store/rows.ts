import { create, type JsonValue } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Channel } from "@soldier/proto/common/v1/resource";
import {
  type Consent,
  ConsentSchema,
  type CustomerProfile,
  CustomerProfileSchema,
  type FieldSource,
} from "@soldier/proto/profile/v1/profile";
import type { Claim, ClaimOutcome, Standing } from "../domain/claim.ts";
import { fieldMessage } from "../domain/messages.ts";
import { verificationLevel } from "../domain/verification-level.ts";

/** A row of field_claims as PostgreSQL writes it as JSON: times are text. */
export interface ClaimRow {
  readonly name: string;
  readonly version: number;
  readonly outcome: ClaimOutcome;
  readonly value: JsonValue;
  readonly source: FieldSource;
  readonly confidence: number;
  readonly session_id: string;
  readonly scenario_id: string;
  readonly step_id: string;
  readonly verified_method: string;
  readonly verified_by: string;
  readonly verified_at: string | null;
  readonly expires_at: string | null;
  readonly recorded_at: string;
  readonly recorded_by: string;
  readonly idempotency_key: string | null;
}

export interface StandingRow {
  readonly holding: ClaimRow;
  readonly pending: readonly ClaimRow[];
}

export interface ConsentRow {
  readonly purpose: string;
  readonly granted: boolean;
  readonly valid_from: string;
  readonly recorded_at: string;
  readonly evidence: string;
}

export interface ProfileRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly version: number;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly fields: readonly StandingRow[];
  readonly identities: readonly {
    readonly channel: Channel;
    readonly external_id: string;
    readonly linked_at: string;
  }[];
  readonly consents: readonly ConsentRow[];
}

export function profileOf(row: ProfileRow): CustomerProfile {
  const fields = row.fields.map(standingOf);
  return create(CustomerProfileSchema, {
    id: row.id,
    meta: {
      tenantId: row.tenant_id,
      createdAt: timestampFromDate(row.created_at),
      updatedAt: timestampFromDate(row.updated_at),
      etag: String(row.version),
    },
    fields: Object.fromEntries(fields.map((field) => [field.holding.name, fieldMessage(field)])),
    identities: row.identities.map(({ channel, external_id, linked_at }) => ({
      channel,
      externalId: external_id,
      linkedAt: timestampFromDate(new Date(linked_at)),
    })),
    consents: row.consents.map(consentOf),
    verificationLevel: verificationLevel(fields),
    version: BigInt(row.version),
  });
}

export function standingOf({ holding, pending }: StandingRow): Standing {
  return { holding: claimOf(holding), pending: pending.map(claimOf) };
}

export function claimOf(row: ClaimRow): Claim {
  return {
    name: row.name,
    version: row.version,
    outcome: row.outcome,
    value: row.value,
    source: row.source,
    confidence: row.confidence,
    sessionId: row.session_id,
    scenarioId: row.scenario_id,
    stepId: row.step_id,
    verified:
      row.verified_at === null
        ? undefined
        : { method: row.verified_method, by: row.verified_by, at: new Date(row.verified_at) },
    expiresAt: row.expires_at === null ? undefined : new Date(row.expires_at),
    recordedAt: new Date(row.recorded_at),
    recordedBy: row.recorded_by,
    idempotencyKey: row.idempotency_key ?? undefined,
  };
}

export function rowOf(claim: Claim): ClaimRow {
  const { verified } = claim;
  return {
    name: claim.name,
    version: claim.version,
    outcome: claim.outcome,
    value: claim.value,
    source: claim.source,
    confidence: claim.confidence,
    session_id: claim.sessionId,
    scenario_id: claim.scenarioId,
    step_id: claim.stepId,
    verified_method: verified?.method ?? "",
    verified_by: verified?.by ?? "",
    verified_at: verified?.at.toISOString() ?? null,
    expires_at: claim.expiresAt?.toISOString() ?? null,
    recorded_at: claim.recordedAt.toISOString(),
    recorded_by: claim.recordedBy,
    idempotency_key: claim.idempotencyKey ?? null,
  };
}

export function consentOf(row: ConsentRow): Consent {
  return create(ConsentSchema, {
    purpose: row.purpose,
    granted: row.granted,
    validFrom: timestampFromDate(new Date(row.valid_from)),
    recordedAt: timestampFromDate(new Date(row.recorded_at)),
    evidence: row.evidence,
  });
}
