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
import type { Claim, ClaimOutcome } from "../domain/claim.ts";
import { consentsAt, type ConsentWord, type Merge } from "../domain/consents.ts";
import { fieldMessage } from "../domain/messages.ts";
import { type Span, standingAt } from "../domain/timeline.ts";
import { verificationLevel } from "../domain/verification-level.ts";
import type { Sealing, StoredKey } from "./sealing.ts";

/** A row of field_claims as PostgreSQL writes it as JSON: times are text. */
export interface ClaimRow {
  readonly id: string;
  readonly customer_id: string;
  readonly name: string;
  readonly version: number;
  readonly outcome: ClaimOutcome;
  readonly value: JsonValue;
  readonly sealed: string | null;
  readonly source: FieldSource;
  readonly confidence: number;
  readonly session_id: string;
  readonly scenario_id: string;
  readonly step_id: string;
  readonly verified_method: string;
  readonly verified_by: string;
  readonly verified_at: string | null;
  readonly valid_from: string | null;
  readonly valid_to: string | null;
  readonly expires_at: string | null;
  readonly delete_after: string | null;
  readonly recorded_at: string;
  readonly recorded_by: string;
  readonly idempotency_key: string | null;
}

/** A row of field_versions with its claim. */
export interface SpanRow {
  readonly claim: ClaimRow;
  readonly disputed: boolean;
  readonly valid_from: string;
  readonly valid_to: string | null;
}

export interface ConsentRow {
  readonly customer_id: string;
  readonly purpose: string;
  readonly version: number;
  readonly granted: boolean;
  readonly valid_from: string;
  readonly recorded_at: string;
  readonly recorded_by: string;
  readonly evidence: string;
}

export interface MergeRow {
  readonly from_id: string;
  readonly into_id: string;
  readonly recorded_at: string;
}

export type KeyRow = StoredKey & { readonly id: string };

export interface ProfileRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly alias_ids: readonly string[];
  readonly version: number;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly rebuild: boolean;
  /** The instant of the world that it is about. */
  readonly at: Date;
  readonly fields: readonly SpanRow[];
  readonly keys: readonly KeyRow[];
  readonly identities: readonly {
    readonly channel: Channel;
    readonly external_id: string;
    readonly linked_at: string;
    readonly unlinked_at: string | null;
  }[];
  readonly consents: readonly ConsentRow[];
  readonly merges: readonly MergeRow[];
}

export function profileOf(row: ProfileRow, sealing: Sealing): CustomerProfile {
  const open = opener(row.tenant_id, row.keys, sealing);
  const spans = row.fields.map((span) => spanOf(span, open));
  const fields = [...Map.groupBy(spans, ({ claim }) => claim.name).values()].flatMap((of) => {
    const standing = standingAt(of, row.at);
    const holding = of.find(({ disputed }) => !disputed);
    return standing && holding ? { standing, holding } : [];
  });
  return create(CustomerProfileSchema, {
    id: row.id,
    meta: {
      tenantId: row.tenant_id,
      createdAt: timestampFromDate(row.created_at),
      updatedAt: timestampFromDate(row.updated_at),
      etag: String(row.version),
    },
    fields: Object.fromEntries(
      fields.map(({ standing, holding }) => [holding.claim.name, fieldMessage(standing, holding)]),
    ),
    identities: row.identities.map(({ channel, external_id, linked_at, unlinked_at }) => ({
      channel,
      externalId: external_id,
      linkedAt: timestampFromDate(new Date(linked_at)),
      // "infinity" in what was believed before it was unlinked
      ...(unlinked_at &&
        unlinked_at !== "infinity" && { unlinkedAt: timestampFromDate(new Date(unlinked_at)) }),
    })),
    consents: consentsOf(row.consents, row.merges, row.at),
    verificationLevel: verificationLevel(fields.map(({ standing }) => standing)),
    version: BigInt(row.version),
    aliasIds: [...row.alias_ids],
  });
}

/** Opens the values of a tenant's claims. */
export type Open = (row: ClaimRow) => JsonValue;

export function opener(tenantId: string, keys: readonly KeyRow[], sealing: Sealing): Open {
  const keyOf = new Map(keys.map((key) => [key.id, key]));
  return ({ customer_id: customerId, name, value, sealed }) =>
    sealed === null
      ? value
      : sealing.open({ tenantId, customerId }, keyOf.get(customerId), name, sealed);
}

export function spanOf(row: SpanRow, open: Open): Span {
  return {
    claim: claimOf(row.claim, open),
    disputed: row.disputed,
    from: new Date(row.valid_from),
    to: dateOf(row.valid_to),
  };
}

export function claimOf(row: ClaimRow, open: Open): Claim {
  return {
    id: row.id,
    customerId: row.customer_id,
    name: row.name,
    version: row.version,
    outcome: row.outcome,
    value: open(row),
    encrypted: row.sealed !== null,
    source: row.source,
    confidence: row.confidence,
    sessionId: row.session_id,
    scenarioId: row.scenario_id,
    stepId: row.step_id,
    verified:
      row.verified_at === null
        ? undefined
        : { method: row.verified_method, by: row.verified_by, at: new Date(row.verified_at) },
    validFrom: new Date(row.valid_from ?? row.recorded_at),
    validTo: dateOf(row.valid_to),
    expiresAt: dateOf(row.expires_at),
    deleteAfter: dateOf(row.delete_after),
    recordedAt: new Date(row.recorded_at),
    recordedBy: row.recorded_by,
    idempotencyKey: row.idempotency_key ?? undefined,
  };
}

/** The row without its value when that is sealed, which is then in the box. */
export function rowOf(claim: Claim, sealed: string | null): ClaimRow {
  const { verified } = claim;
  return {
    id: claim.id,
    customer_id: claim.customerId,
    name: claim.name,
    version: claim.version,
    outcome: claim.outcome,
    value: sealed === null ? claim.value : null,
    sealed,
    source: claim.source,
    confidence: claim.confidence,
    session_id: claim.sessionId,
    scenario_id: claim.scenarioId,
    step_id: claim.stepId,
    verified_method: verified?.method ?? "",
    verified_by: verified?.by ?? "",
    verified_at: verified?.at.toISOString() ?? null,
    valid_from: claim.validFrom.toISOString(),
    valid_to: claim.validTo?.toISOString() ?? null,
    expires_at: claim.expiresAt?.toISOString() ?? null,
    delete_after: claim.deleteAfter?.toISOString() ?? null,
    recorded_at: claim.recordedAt.toISOString(),
    recorded_by: claim.recordedBy,
    idempotency_key: claim.idempotencyKey ?? null,
  };
}

/** Consents as they stand at an instant. */
export function consentsOf(
  rows: readonly ConsentRow[],
  merges: readonly MergeRow[],
  at: Date,
): Consent[] {
  return consentsAt(rows.map(wordOf), merges.map(mergeOf), at).map((word) =>
    create(ConsentSchema, {
      purpose: word.purpose,
      granted: word.granted,
      validFrom: timestampFromDate(word.validFrom),
      recordedAt: timestampFromDate(word.recordedAt),
      evidence: word.evidence,
    }),
  );
}

function wordOf(row: ConsentRow): ConsentWord {
  return {
    customerId: row.customer_id,
    version: row.version,
    purpose: row.purpose,
    granted: row.granted,
    validFrom: new Date(row.valid_from),
    recordedAt: new Date(row.recorded_at),
    recordedBy: row.recorded_by,
    evidence: row.evidence,
  };
}

function mergeOf({ from_id, into_id, recorded_at }: MergeRow): Merge {
  return { fromId: from_id, intoId: into_id, recordedAt: new Date(recorded_at) };
}

function dateOf(text: string | null): Date | undefined {
  return text === null ? undefined : new Date(text);
}
