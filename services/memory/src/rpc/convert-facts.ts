import { fromJson, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate, timestampFromMs, ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  Authority as MessageAuthority,
  Cardinality,
  type ClaimSchema,
  ClaimKind as MessageKind,
  type EntityMergeSchema,
  type EntitySchema,
  FactState,
  type FactVersionSchema,
  type Predicate as PredicateMessage,
  TemporalKind,
  TimeBasis as MessageBasis,
} from "@soldier/proto/memory/v1/memory";
import type { ParkedClaimsSchema } from "@soldier/proto/memory/v1/memory_service";
import type { Authority, Claim, ClaimValue, NewClaim } from "../domain/claim.ts";
import type { EntityMerge, StoredEntity } from "../domain/entity.ts";
import type { Predicate } from "../domain/predicate.ts";
import type { ParkedClaims, StoredFact } from "../store/fact-store.ts";

export function claimMessage(
  tenantId: string,
  claim: NewClaim & Partial<Pick<Claim, "groupId" | "recordedAt">>,
): MessageInitShape<typeof ClaimSchema> {
  return {
    id: claim.id,
    tenantId,
    groupId: claim.groupId ?? "",
    kind: kinds[claim.kind],
    subject: claim.subject,
    predicate: claim.predicate,
    ...(claim.value && { value: valueMessage(claim.value) }),
    ...(claim.validFrom && { validFrom: timestampFromDate(claim.validFrom) }),
    ...(claim.validTo && { validTo: timestampFromDate(claim.validTo) }),
    timeBasis: bases[claim.timeBasis],
    targetClaimId: claim.target ?? "",
    episodeId: claim.episodeId ?? "",
    spanStart: claim.spanStart,
    spanEnd: claim.spanEnd,
    authority: authorities[claim.authority],
    confidence: claim.confidence,
    extractor: claim.extractor,
    ...(claim.recordedAt && { recordedAt: timestampFromDate(claim.recordedAt) }),
    ...attributesMessage(claim.attributes),
  };
}

export function parkedMessage(
  tenantId: string,
  parked: ParkedClaims,
): MessageInitShape<typeof ParkedClaimsSchema> {
  const { id, groupId, factsEnded, factsHeld, why } = parked;
  const claims = parked.claims.map((claim) => claimMessage(tenantId, { ...claim, groupId }));
  return {
    id,
    groupId,
    claims,
    factsEnded,
    factsHeld,
    why,
    parkedAt: timestampFromDate(parked.parkedAt),
  };
}

/** How it stands at the instant asked for. */
export function factMessage(
  fact: StoredFact,
  instant: number,
): MessageInitShape<typeof FactVersionSchema> {
  const holds = fact.reopened ? FactState.STALE_UNVERIFIED : FactState.CURRENT;
  const state = fact.to > instant ? holds : FactState.SUPERSEDED;
  return {
    factId: fact.factId,
    tenantId: fact.tenantId,
    groupId: fact.groupId,
    subject: fact.subject,
    predicate: fact.predicate,
    value: valueMessage(fact.value),
    validFrom: timestampFromMs(fact.from),
    ...(fact.to !== Infinity && { validTo: timestampFromMs(fact.to) }),
    recordedAt: timestampFromMs(fact.recordedAt),
    ...(fact.supersededAt !== Infinity && { supersededAt: timestampFromMs(fact.supersededAt) }),
    claimIds: [...fact.claimIds],
    closeReason: fact.reason ?? (fact.supersededBy === "recut" ? "" : (fact.supersededBy ?? "")),
    state: fact.disputed ? FactState.DISPUTED : state,
    lastConfirmedAt: timestampFromMs(fact.confirmedAt),
    authority: authorities[fact.reopened ? "inferred" : fact.authority],
    reopenedByErasure: fact.reopened,
    // Where several may hold each has a slot of its own.
    singleValued: fact.slot !== fact.factId,
    ...attributesMessage(fact.attributes),
  };
}

/** Left out when there are none. */
function attributesMessage(attributes: JsonObject = {}) {
  return Object.keys(attributes).length > 0 && { attributes };
}

export function entityMessage(
  tenantId: string,
  entity: StoredEntity,
): MessageInitShape<typeof EntitySchema> {
  const { id, groupId, type, name, aliases, canonicalId } = entity;
  return {
    id,
    tenantId,
    groupId,
    type,
    name,
    aliases: [...aliases],
    canonicalId: canonicalId === id ? "" : canonicalId,
    recordedAt: timestampFromDate(entity.recordedAt),
  };
}

export function mergeMessage(merge: EntityMerge): MessageInitShape<typeof EntityMergeSchema> {
  return {
    id: merge.id,
    fromEntityId: merge.from,
    toEntityId: merge.to,
    by: merge.by,
    evidence: merge.evidence,
    recordedAt: timestampFromDate(merge.recordedAt),
    ...(merge.undoneAt && { undoneAt: timestampFromDate(merge.undoneAt) }),
  };
}

export function predicateOf(message: PredicateMessage): Predicate {
  return {
    name: message.name,
    cardinality: message.cardinality === Cardinality.ONE ? "one" : "many",
    inverseOne: message.inverseOne,
    authorityFirst: message.authorityFirst,
    subjectTypes: message.subjectTypes,
    objectTypes: message.objectTypes,
    temporalKind: temporalKinds[message.temporalKind] ?? "state",
    piiClass: message.piiClass,
  };
}

function valueMessage(value: ClaimValue) {
  if (value.kind === "entity") return { case: "object", value: value.id } as const;
  return { case: "literal", value: fromJson(ValueSchema, value.json) } as const;
}

const kinds: Record<Claim["kind"], MessageKind> = {
  assert: MessageKind.ASSERT,
  end: MessageKind.END,
  retract: MessageKind.RETRACT,
};

const bases: Record<Claim["timeBasis"], MessageBasis> = {
  stated: MessageBasis.STATED,
  inferred: MessageBasis.INFERRED,
  assumed: MessageBasis.ASSUMED,
};

const authorities: Record<Authority, MessageAuthority> = {
  inferred: MessageAuthority.INFERRED,
  agent: MessageAuthority.AGENT,
  user: MessageAuthority.USER,
  verified: MessageAuthority.VERIFIED,
};

const temporalKinds: Readonly<Record<number, Predicate["temporalKind"] | undefined>> = {
  [TemporalKind.EVENT]: "event",
  [TemporalKind.STATIC]: "static",
};
