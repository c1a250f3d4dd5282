import type { JsonObject } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Event, newEvent, topic } from "@soldier/events/event";
import { traceparentOfNow } from "@soldier/events/tracing";
import { newId } from "@soldier/kernel/ids";
import { AuditRecordedSchema } from "@soldier/proto/events/v1/events";

const auditEvent = topic("audit.event", AuditRecordedSchema);

export interface Act {
  readonly tenantId: string;
  /** The caller's subject. */
  readonly actor: string;
  /** E.g. "profile.field_updated". */
  readonly action: string;
  readonly customerId: string;
  readonly at: Date;
  /** Never values: they are the customer's. */
  readonly details: JsonObject;
}

/** What an operator did to a customer, for the audit. */
export function audited({ tenantId, actor, action, customerId, at, details }: Act): Event {
  const event = {
    id: newId(),
    tenantId,
    actor,
    action,
    resourceKind: "customer",
    resourceId: customerId,
    occurredAt: timestampFromDate(at),
    traceId: traceparentOfNow()?.split("-")[1] ?? "",
    details,
  };
  return newEvent(auditEvent, tenantId, { event }, at);
}
