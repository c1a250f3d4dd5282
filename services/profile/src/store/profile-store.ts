import type { Event } from "@soldier/events/event";
import type { Channel } from "@soldier/proto/common/v1/resource";
import type {
  Asset,
  Consent,
  CustomerProfile,
  FieldSource,
} from "@soldier/proto/profile/v1/profile";
import type { Claim, NewClaim, Standing } from "../domain/claim.ts";
import type { Span } from "../domain/timeline.ts";
import type { DamagedRow } from "@soldier/storage/damaged-rows";

export interface FoundProfile {
  readonly profile: CustomerProfile;
  readonly created: boolean;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins; undefined on the last. */
  readonly next: string | undefined;
}

/** What became of a claim. */
export interface Claimed {
  readonly claim: Claim;
  /** How the field stands now; undefined when nothing holds, as before a claim on later times. */
  readonly standing: Standing | undefined;
  /** The claim was there already, by its key: nothing was written. */
  readonly repeated: boolean;
}

export interface NewConsent {
  readonly purpose: string;
  readonly granted: boolean;
  /** Undefined: from when it is recorded. */
  readonly validFrom: Date | undefined;
  readonly evidence: string;
  readonly recordedBy: string;
}

export interface NewMerge {
  readonly fromId: string;
  readonly intoId: string;
  readonly mergedBy: string;
  readonly evidence: string;
}

export type Merged =
  | { readonly kind: "absent"; readonly customerId: string }
  | {
      readonly kind: "merged";
      readonly mergeId: string;
      /** Who stands for both. */
      readonly rootId: string;
      /** They were one already: nothing was written. */
      readonly repeated: boolean;
    };

export type Unmerged =
  | { readonly kind: "absent" }
  | {
      readonly kind: "unmerged";
      readonly fromId: string;
      readonly intoId: string;
      /** It was undone already: nothing was written. */
      readonly repeated: boolean;
    };

export interface NewAsset {
  readonly kind: string;
  readonly uri: string;
  /** SHA-256, 32 bytes. */
  readonly checksum: Uint8Array;
  readonly mediaType: string;
  readonly sizeBytes: bigint;
  readonly source: FieldSource;
  readonly sessionId: string;
  readonly recordedBy: string;
}

export interface NewErasure {
  readonly customerId: string;
  readonly erasedBy: string;
  /** Only count. */
  readonly dryRun: boolean;
}

/** How much of each kind of thing is gone. */
export type ErasureCounts = Readonly<
  Record<"customers" | "fields" | "claims" | "identities" | "consents" | "assets" | "keys", number>
>;

export interface Erasure {
  /** The customer with every alias. */
  readonly customerIds: readonly string[];
  readonly counts: ErasureCounts & LetterCounts;
  /** Undefined after a dry run. */
  readonly certificate: { readonly id: string; readonly erasedAt: Date } | undefined;
  /** It was done before: nothing was written, and the counts are 0. */
  readonly repeated: boolean;
}

export type OriginCounts = Readonly<Record<"fields" | "claims" | "assets", number>> & LetterCounts;

/** Of dead letters that an erasure removed; those that nobody could read may have been somebody else's. */
export interface LetterCounts {
  readonly dead_letters?: number;
  readonly unreadable_letters?: number;
}

/** A point on both axes of time; undefined is now, and as it is known now. */
export interface AsOf {
  readonly valid: Date | undefined;
  readonly recorded: Date | undefined;
}

/** The events of a change: they become real in the same transaction, or neither does. */
export type Announce<T> = (what: T) => readonly Event[];

/**
 * Customers of every tenant. A tenant never sees another's. What is read is the caller's own copy.
 * Of an id that was merged into another customer's, that customer is read and written. What was
 * erased is not there, and comes back by nothing. The store says when something is recorded: later
 * than all that was recorded of the customer before, whatever the caller's clock says.
 */
export interface ProfileStore {
  /**
   * One statement, now or with a valid time. What has expired by then is left out. With a recorded
   * time: what was believed then, also of who was one with whom.
   */
  get(
    tenantId: string,
    customerId: string,
    now: Date,
    asOf?: AsOf,
  ): Promise<CustomerProfile | undefined>;
  /**
   * The customer that the identity belongs to, made if there is none: of many at once exactly one
   * makes it. One statement when it is there.
   */
  getOrCreate(
    tenantId: string,
    channel: Channel,
    externalId: string,
    now: Date,
  ): Promise<FoundProfile>;
  /** A page of customers, the latest first, after the one given; none that was merged into another; those apart that can't be read. */
  list(
    tenantId: string,
    limit: number,
    after: string | undefined,
    now: Date,
  ): Promise<Page<CustomerProfile> & { readonly damaged: readonly DamagedRow[] }>;
  /**
   * A page of the values that a field has had, each with the interval in which it held, the latest
   * first, after the token given; as believed now or then. Pending ones never held.
   */
  history(
    tenantId: string,
    customerId: string,
    name: string,
    limit: number,
    after: string | undefined,
    now: Date,
    recorded?: Date,
  ): Promise<Page<Span>>;
  /**
   * Stores a claim; how its field stands follows from all claims on it. Undefined, and nothing
   * written, when there is no such customer. A key that was there gives what came of it then, and
   * announces nothing; throws the Fault "conflict", reason IDEMPOTENCY_KEY_REUSED, when it came with
   * another name or value.
   */
  claim(
    tenantId: string,
    customerId: string,
    claim: NewClaim,
    now: Date,
    announce: Announce<Claimed>,
  ): Promise<Claimed | undefined>;
  /**
   * The same for all claims of an event, once for any number of deliveries. Resolves with what came
   * of them; with nothing when the event was had before or there is no such customer.
   */
  claimOnce(
    event: Pick<Event, "id">,
    tenantId: string,
    customerId: string,
    claims: readonly NewClaim[],
    now: Date,
  ): Promise<readonly Claimed[]>;
  /**
   * Gives an identity to the customer: "linked", "there" when it was the customer's already, "taken"
   * when it is another's and not to be moved, "absent" when there is no such customer. Announced only
   * when linked. Of an identity that is moved the other keeps the time until then.
   */
  link(
    tenantId: string,
    customerId: string,
    identity: { readonly channel: Channel; readonly externalId: string },
    now: Date,
    announce: Announce<void>,
    move?: boolean,
  ): Promise<"linked" | "there" | "taken" | "absent">;
  /** Takes an identity from the customer; that it was the customer's stays known. */
  unlink(
    tenantId: string,
    customerId: string,
    identity: { readonly channel: Channel; readonly externalId: string },
    now: Date,
    announce: Announce<void>,
  ): Promise<"unlinked" | "not-linked" | "absent">;
  /**
   * Adds a consent, unless the same word from the same stated time is there, and gives the consents
   * as they stand. Undefined when there is no such customer.
   */
  consent(
    tenantId: string,
    customerId: string,
    consent: NewConsent,
    now: Date,
    announce: Announce<void>,
  ): Promise<readonly Consent[] | undefined>;
  /**
   * Makes two customers one, who is who stands for `into`. Each claim, identity, consent and asset
   * stays with whom it was said about. Repeated it changes nothing; throws the Fault "conflict",
   * reason CUSTOMER_MERGED, when `from` is somebody else's alias, or `into` is an alias of `from`.
   */
  merge(
    tenantId: string,
    merge: NewMerge,
    now: Date,
    announce: Announce<Extract<Merged, { kind: "merged" }>>,
  ): Promise<Merged>;
  /** Takes a merge back: both are as if they had never been one, with what was said of each since. */
  unmerge(
    tenantId: string,
    mergeId: string,
    unmergedBy: string,
    now: Date,
    announce: Announce<Extract<Unmerged, { kind: "unmerged" }>>,
  ): Promise<Unmerged>;
  /** Adds a file by reference, unless the same is there. Undefined when there is no such customer. */
  addAsset(
    tenantId: string,
    customerId: string,
    asset: NewAsset,
    now: Date,
    announce: Announce<Asset>,
  ): Promise<Asset | undefined>;
  /** A page of a customer's files, the latest first, after the one given. */
  assets(
    tenantId: string,
    customerId: string,
    limit: number,
    after: string | undefined,
  ): Promise<Page<Asset>>;
  /**
   * Removes all that is known of a customer and of every alias, at every time of both axes, with the
   * keys of what was encrypted. What stays holds no content, and refuses what comes late. Undefined
   * when there never was such a customer.
   */
  erase(
    tenantId: string,
    erasure: NewErasure,
    now: Date,
    announce: Announce<Erasure>,
  ): Promise<Erasure | undefined>;
  /**
   * Removes what fields and assets were told in a session, at every time of both axes; the fields
   * follow from what is left. A second call finds nothing.
   */
  eraseOrigin(
    tenantId: string,
    origin: { readonly sessionId: string; readonly dryRun: boolean },
    now: Date,
  ): Promise<OriginCounts>;
  /**
   * Removes claims that retention has reached, of any tenant and at every time of both axes; of at
   * most so many customers. How many claims are gone.
   */
  prune(now: Date, customersMax: number): Promise<number>;
  /** Makes all that is believed of a customer follow from the claims again; that changes nothing. */
  rebuild(tenantId: string, customerId: string, now: Date): Promise<void>;
}
