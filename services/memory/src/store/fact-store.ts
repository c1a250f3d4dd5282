import type { FieldViolation } from "@soldier/kernel/fault";
import type { Claim, NewClaim } from "../domain/claim.ts";
import type { ClosingLimits } from "../domain/closings.ts";
import type { EntityMerge, NewEntity, StoredEntity } from "../domain/entity.ts";
import type { FactVersion } from "../domain/fact-history.ts";
import type { Predicate } from "../domain/predicate.ts";
import type { FactFilters } from "./fact-filters.ts";

/** What came of a batch of claims. */
export type AddedClaims =
  | { readonly kind: "stored"; readonly claims: readonly Claim[] }
  /** It would end more facts than allowed and waits for a person. */
  | { readonly kind: "parked"; readonly parked: ParkedClaims }
  /** It names what is not there; fields are those of the message. */
  | { readonly kind: "refused"; readonly fields: readonly FieldViolation[] };

export interface ParkedClaims {
  readonly id: string;
  readonly groupId: string;
  readonly claims: readonly NewClaim[];
  readonly factsEnded: number;
  readonly factsHeld: number;
  /** They would end many facts, or it is not certain what they correct. */
  readonly why: "closes_many" | "ambiguous";
  readonly parkedAt: Date;
}

export interface FactQuery {
  /** At least one. */
  readonly groupIds: readonly string[];
  /** Under any name that is merged with it; undefined is any. */
  readonly subject: string | undefined;
  /** Empty is any. */
  readonly predicates: readonly string[];
  /** An entity, under any name that is merged with it; undefined is any. */
  readonly object: string | undefined;
  /** Undefined is the latest. */
  readonly recordedAt: Date | undefined;
  /** Undefined is any time, what is disputed included. */
  readonly valid: ValidTime | undefined;
  /** Undefined is none. */
  readonly filters?: FactFilters;
  readonly limit: number;
  readonly after: FactPlace | undefined;
}

/** An instant, or an interval without its end. */
export type ValidTime =
  | { readonly kind: "at"; readonly at: Date }
  | { readonly kind: "overlap"; readonly from: Date; readonly to: Date };

/** Where a page of facts ended. */
export interface FactPlace {
  readonly from: number;
  readonly number: number;
}

export interface StoredFact extends FactVersion {
  readonly tenantId: string;
  readonly groupId: string;
  /** It holds again only because what had ended it was erased, and was not said again since. */
  readonly reopened: boolean;
}

export interface FactPage {
  /** By the beginnings of their intervals. */
  readonly facts: readonly StoredFact[];
  /** Undefined on the last page. */
  readonly next: FactPlace | undefined;
}

export type MergeOutcome =
  | { readonly kind: "merged"; readonly merge: EntityMerge }
  | { readonly kind: "not-found"; readonly entityId: string }
  | { readonly kind: "refused"; readonly why: string };

export interface Page<T> {
  readonly items: readonly T[];
  /** The id after which the next page begins; undefined on the last. */
  readonly next: string | undefined;
}

/** Claims, and the facts that follow from them, of every tenant. A tenant never sees another's. */
export interface FactStore {
  /**
   * Stores the claims whose id is new, and the versions that follow, in one transaction. Answers
   * with all of them as stored, in the order given: of two with one id the first. Claims of a group
   * are recorded at rising times, whoever stores them. Without limits nothing is parked.
   */
  addClaims(
    tenantId: string,
    groupId: string,
    claims: readonly NewClaim[],
    limits: ClosingLimits | undefined,
  ): Promise<AddedClaims>;
  facts(tenantId: string, query: FactQuery): Promise<FactPage>;
  /** Replaces all predicates of the tenant; what is believed changes from now on, in every group. */
  setPredicates(tenantId: string, predicates: readonly Predicate[]): Promise<void>;
  /**
   * Stores entities, or their names anew. Answers with ids that belong to another group already. Throws
   * ENTITY_INVALID when one is mentioned in what is no episode of its group.
   */
  addEntities(tenantId: string, entities: readonly NewEntity[]): Promise<readonly string[]>;
  /** Those with these ids, in the order of the ids. */
  entitiesById(tenantId: string, ids: readonly string[]): Promise<readonly StoredEntity[]>;
  /** By id. With a name: those that have it, however it is written. */
  listEntities(
    tenantId: string,
    groupId: string,
    name: string | undefined,
    limit: number,
    after: string | undefined,
  ): Promise<Page<StoredEntity>>;
  /** Lets one entity stand for another of its group. The same again is the same merge. */
  merge(
    tenantId: string,
    merge: Pick<EntityMerge, "id" | "from" | "to" | "by" | "evidence">,
  ): Promise<MergeOutcome>;
  /** Takes a merge back, once; undefined when there is none. */
  unmerge(tenantId: string, mergeId: string): Promise<EntityMerge | undefined>;
  /** The earliest first. */
  listParked(
    tenantId: string,
    limit: number,
    after: string | undefined,
  ): Promise<Page<ParkedClaims>>;
  /** Stores what was parked, or drops it; undefined when it is not there any more. */
  review(tenantId: string, parkedId: string, accept: boolean): Promise<AddedClaims | undefined>;
  /**
   * Makes the group's versions anew from its claims, merges and predicates, and resolves with how
   * many differences there were before: 0, or something wrote past this store.
   */
  rebuild(tenantId: string, groupId: string): Promise<number>;
}
