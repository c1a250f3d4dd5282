import type { JsonObject } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Identity } from "@soldier/chassis/identity";
import { currentTraceId } from "@soldier/chassis/tracing";
import { type Event, newEvent, topic } from "@soldier/events/event";
import { newId } from "@soldier/kernel/ids";
import type { Agent } from "@soldier/proto/config/v1/agent";
import { AuditRecordedSchema, ConfigPublishedSchema } from "@soldier/proto/events/v1/events";

export const configPublishedTopic = topic("config.published", ConfigPublishedSchema);
export const auditTopic = topic("audit.event", AuditRecordedSchema);

/** What was done, and to what. */
export interface Act {
  /** E.g. "rule.updated". */
  readonly action: string;
  readonly resourceKind: string;
  readonly resourceId: string;
  /** Never secrets or customers' text. */
  readonly details: JsonObject;
}

export function audited({ tenantId, subject }: Identity, act: Act, at: Date): Event {
  const event = {
    id: newId(),
    tenantId,
    actor: subject,
    ...act,
    occurredAt: timestampFromDate(at),
    traceId: currentTraceId() ?? "",
  };
  return newEvent(auditTopic, tenantId, { event }, at);
}

/**
 * Tells caches that what they hold of the agent is no longer right: another version is live, the
 * values in its bundle have changed, or (version 0) the agent is gone.
 */
export function configPublished(
  { tenantId }: Identity,
  { id, slug }: Pick<Agent, "id" | "slug">,
  version: bigint,
  at: Date,
): Event {
  const publishedAt = timestampFromDate(at);
  const message = { tenantId, agentId: id, agentSlug: slug, version, publishedAt };
  return newEvent(configPublishedTopic, tenantId, message, at);
}
