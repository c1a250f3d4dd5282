import type { EventBus } from "@soldier/events/bus";
import { type Event, messageOf } from "@soldier/events/event";
import { turnToldTopic } from "@soldier/events/topics";
import type { EpisodeStore } from "../store/episode-store.ts";
import { ingestionLag } from "./ingestion-metrics.ts";
import { turnEpisodes } from "./turn-episodes.ts";

export interface FollowTurnsOptions {
  readonly bus: EventBus;
  readonly consumer: string;
  readonly store: EpisodeStore;
  readonly now: () => Date;
  /** Called after episodes were stored. */
  readonly stored: () => void;
}

/** Stores what was said in every committed turn, once for any number of deliveries; until the bus closes. */
export async function followTurns(options: FollowTurnsOptions): Promise<void> {
  const { bus, consumer, store, now, stored } = options;
  await bus.consume({ consumer, topics: [turnToldTopic.name] }, async (event: Event) => {
    const episodes = turnEpisodes(messageOf(turnToldTopic, event));
    const added = await store.addOnce(event, event.tenantId, episodes);
    for (const { occurredAt } of added) {
      const lagMs = now().getTime() - occurredAt.getTime();
      ingestionLag.observe({ stage: "stored" }, Math.max(0, lagMs) / 1_000);
    }
    if (added.length > 0) stored();
  });
}
