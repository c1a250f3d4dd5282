import type { Event } from "@soldier/events/event";
import type { AuditEvent } from "@soldier/proto/audit/v1/audit_service";
import type { TurnRecord } from "@soldier/proto/audit/v1/turn_record";
import type { Link } from "../domain/chain.ts";
import type { Listening } from "@soldier/storage/damaged-rows";
import type { Place, Placed } from "../domain/page.ts";

/** From `from` on, before `to`; undefined: no bound. */
export interface Interval {
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
}

/** Empty text: any. */
export interface RecordFilter extends Interval {
  readonly sessionId: string;
  readonly agentId: string;
  readonly customerId: string;
}

/** Empty text: any. */
export interface EventFilter extends Interval {
  readonly resourceKind: string;
  readonly resourceId: string;
  readonly action: string;
}

export interface Slice extends Listening<Place> {
  readonly rowsMax: number;
  readonly after?: Place | undefined;
}

/** A part of a tenant's chain, both ends included. */
export interface ChainPart {
  readonly first: bigint;
  readonly last: bigint;
}

/** What was recorded, tenant by tenant. There is no way to change it, nor to remove a part of it. */
export interface AuditStore {
  /**
   * Keeps the record, once for any number of deliveries of the event. Received at the time given;
   * its tenant is the event's. What is personal in it can be read until its customer is forgotten;
   * of one who was, only the rest is kept. Resolves to false when the event had been had before.
   */
  addTurnRecord(event: Event, record: TurnRecord, receivedAt: Date, now: Date): Promise<boolean>;
  /** Keeps what was audited, once for any number of deliveries; its tenant is the event's. */
  addAuditEvent(
    event: Pick<Event, "id" | "tenantId" | "occurredAt">,
    audited: AuditEvent,
    now: Date,
  ): Promise<boolean>;
  turnRecord(tenantId: string, turnId: string): Promise<TurnRecord | undefined>;
  /** The latest received first. */
  turnRecords(
    tenantId: string,
    filter: RecordFilter,
    slice: Slice,
  ): Promise<readonly Placed<TurnRecord>[]>;
  /** The latest first. */
  auditEvents(
    tenantId: string,
    filter: EventFilter,
    slice: Slice,
  ): Promise<readonly Placed<AuditEvent>[]>;
  /** The part of the chain that holds the interval; undefined: nothing is in it. */
  chainPart(tenantId: string, interval: Interval): Promise<ChainPart | undefined>;
  /** Up to `rowsMax` entries from that number on, in order, with their records as they are stored. */
  links(tenantId: string, from: bigint, rowsMax: number): Promise<readonly Link[]>;
  /** The end of the tenant's chain as it was last written, beside the chain itself. */
  chainEnd(tenantId: string): Promise<Pick<Link, "seq" | "hash"> | undefined>;
  /** One record or event of the interval that the chain does not know; undefined: none. */
  unchained(tenantId: string, interval: Interval): Promise<string | undefined>;
  /** Before this, months were dropped by retention. */
  droppedBefore(): Promise<Date | undefined>;
  /** An entry's record or event as it can be read now; undefined when it was dropped. */
  readLink(tenantId: string, link: Link): Promise<TurnRecord | AuditEvent | undefined>;
  /**
   * Destroys the customer's key for good, and what this service gave up of the customer's events. How
   * many records were under it, and whether it was there. A dry run only counts. Dead letters of the
   * tenant that nobody can read may be the customer's: they go, too, and are counted apart.
   */
  forget(
    tenantId: string,
    customerId: string,
    dryRun?: boolean,
  ): Promise<{ records: number; destroyed: boolean; unreadableLetters: number }>;
  /** The same for every customer of the tenant; with how many keys there were. */
  forgetAll(
    tenantId: string,
    dryRun: boolean,
  ): Promise<{ records: number; keys: number; unreadableLetters: number }>;
}
