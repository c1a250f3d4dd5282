import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Identity } from "@soldier/chassis/identity";
import { type Event, newEvent } from "@soldier/events/event";
import { configPublishedTopic } from "@soldier/events/topics";
import type { Agent } from "@soldier/proto/config/v1/agent";
import type { FieldDefinition } from "@soldier/proto/config/v1/tool";

/** What a version says to others than alignment. */
export interface NewVersion {
  /** Fields that profile holds values to. */
  readonly definitions: FieldDefinition[];
  /** How long memory keeps what the agent hears and says; 0: for good. */
  readonly memoryKeepDays: number;
}

/**
 * Tells caches that what they hold of the agent is no longer right: another version is live, the
 * values in its bundle have changed, or (version 0) the agent is gone. With what a version that is new
 * says to profile and memory.
 */
export function configPublished(
  { tenantId }: Identity,
  { id, slug }: Pick<Agent, "id" | "slug">,
  version: bigint,
  at: Date,
  fresh?: NewVersion,
): Event {
  const publishedAt = timestampFromDate(at);
  const message = { tenantId, agentId: id, agentSlug: slug, version, publishedAt };
  const says = fresh && {
    fieldDefinitions: { definitions: fresh.definitions },
    memoryKeepDays: fresh.memoryKeepDays,
  };
  return newEvent(configPublishedTopic, tenantId, { ...message, ...says }, at);
}
