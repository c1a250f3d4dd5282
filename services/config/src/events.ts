import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Identity } from "@soldier/chassis/identity";
import { type Event, newEvent } from "@soldier/events/event";
import { configPublishedTopic } from "@soldier/events/topics";
import type { Agent } from "@soldier/proto/config/v1/agent";

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
