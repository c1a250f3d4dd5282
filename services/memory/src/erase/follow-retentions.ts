import type { EventBus } from "@soldier/events/bus";
import { messageOf } from "@soldier/events/event";
import { configPublishedTopic } from "@soldier/events/topics";
import type { RetentionStore } from "../store/retention-store.ts";

export interface FollowRetentionsOptions {
  readonly bus: Pick<EventBus, "consume">;
  readonly consumer: string;
  readonly retentions: Pick<RetentionStore, "keep">;
}

/** Notes how long each published version keeps what its agent hears and says; until the bus closes. */
export async function followRetentions(options: FollowRetentionsOptions): Promise<void> {
  const { bus, consumer, retentions } = options;
  await bus.consume({ consumer, topics: [configPublishedTopic.name] }, async (event) => {
    const { agentId, version, memoryKeepDays } = messageOf(configPublishedTopic, event);
    // News of a version that was live before, or of an agent that is gone, changes nothing.
    if (memoryKeepDays === undefined) return;
    await retentions.keep(event.tenantId, agentId, version, memoryKeepDays);
  });
}
