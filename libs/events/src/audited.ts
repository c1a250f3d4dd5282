import type { JsonObject } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { newId } from "@soldier/kernel/ids";
import { type Event, newEvent } from "./event.ts";
import { auditRecordedTopic } from "./topics.ts";
import { traceparentOfNow } from "./tracing.ts";

/** Something that was done and that is worth auditing. */
export interface Act {
  /** "<thing>.<what was done>", e.g. "profile.field_updated". */
  readonly action: string;
  readonly resourceKind: string;
  readonly resourceId: string;
  /** Facts about it. Never secrets, values or what a customer said. */
  readonly details?: JsonObject;
}

/** Who did it. */
export interface Actor {
  readonly tenantId: string;
  readonly subject: string;
}

/** The act on its way to the audit service, part of the running trace. */
export function audited({ tenantId, subject }: Actor, act: Act, at: Date): Event {
  const event = {
    ...act,
    id: newId(),
    tenantId,
    actor: subject,
    occurredAt: timestampFromDate(at),
    traceId: traceparentOfNow()?.split("-")[1] ?? "",
  };
  return newEvent(auditRecordedTopic, tenantId, { event }, at);
}
