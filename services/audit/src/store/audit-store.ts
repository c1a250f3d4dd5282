import type { Event } from "@soldier/events/event";
import type { AuditEvent } from "@soldier/proto/audit/v1/audit_service";
import type { TurnRecord } from "@soldier/proto/audit/v1/turn_record";
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

export interface Slice {
  readonly rowsMax: number;
  readonly after?: Place | undefined;
}

/** What was recorded, tenant by tenant. There is no way to change or remove it. */
export interface AuditStore {
  /**
   * Keeps the record, once for any number of deliveries of the event. Received at the time given;
   * its tenant is the event's. Resolves to false when the event had been had before.
   */
  addTurnRecord(event: Event, record: TurnRecord, receivedAt: Date, now: Date): Promise<boolean>;
  /** Keeps what was audited, once for any number of deliveries; its tenant is the event's. */
  addAuditEvent(event: Event, audited: AuditEvent, now: Date): Promise<boolean>;
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
}
