import type { Event } from "@soldier/events/event";
import type { Channel } from "@soldier/proto/common/v1/resource";
import type { Consent, CustomerProfile } from "@soldier/proto/profile/v1/profile";
import type { Claim, NewClaim, Standing } from "../domain/claim.ts";

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
  /** How the field stands. */
  readonly standing: Standing;
  /** The claim was there already, by its key: nothing was written. */
  readonly repeated: boolean;
}

export interface NewConsent {
  readonly purpose: string;
  readonly granted: boolean;
  readonly validFrom: Date;
  readonly evidence: string;
  readonly recordedBy: string;
}

/** The events of a change: they become real in the same transaction, or neither does. */
export type Announce<T> = (what: T) => readonly Event[];

/** Customers of every tenant. A tenant never sees another's. What is read is the caller's own copy. */
export interface ProfileStore {
  /** One statement. Fields that have expired by now are left out. */
  get(tenantId: string, customerId: string, now: Date): Promise<CustomerProfile | undefined>;
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
  /** A page of customers, the latest first, after the one given. */
  list(
    tenantId: string,
    limit: number,
    after: string | undefined,
    now: Date,
  ): Promise<Page<CustomerProfile>>;
  /** A page of the values that a field has had, the latest first; pending ones never were. */
  history(
    tenantId: string,
    customerId: string,
    name: string,
    limit: number,
    after: string | undefined,
  ): Promise<Page<Claim>>;
  /**
   * Stores a claim and how its field stands after it; other writers of the customer wait. Undefined,
   * and nothing written, when there is no such customer. A key that was there gives what came of it
   * then, and announces nothing; throws the Fault "conflict", reason IDEMPOTENCY_KEY_REUSED, when
   * it came with another name or value.
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
   * when it is another's, "absent" when there is no such customer. Announced only when linked.
   */
  link(
    tenantId: string,
    customerId: string,
    identity: { readonly channel: Channel; readonly externalId: string },
    now: Date,
    announce: Announce<void>,
  ): Promise<"linked" | "there" | "taken" | "absent">;
  /**
   * Adds a consent, unless the same word from the same time is there, and gives the consents as they
   * stand. Undefined when there is no such customer.
   */
  consent(
    tenantId: string,
    customerId: string,
    consent: NewConsent,
    now: Date,
    announce: Announce<void>,
  ): Promise<readonly Consent[] | undefined>;
}
