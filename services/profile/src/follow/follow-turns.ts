import type { EventBus } from "@soldier/events/bus";
import { type Event, messageOf } from "@soldier/events/event";
import { configPublishedTopic, turnToldTopic } from "@soldier/events/topics";
import type { Clock } from "@soldier/kernel/clock";
import { isId } from "@soldier/kernel/ids";
import type { Log } from "@soldier/kernel/log";
import type { DefinitionStore } from "../store/definitions.ts";
import type { ProfileStore } from "../store/profile-store.ts";
import { turnClaims } from "./turn-claims.ts";

export interface FollowTurnsOptions {
  readonly bus: EventBus;
  readonly consumer: string;
  readonly store: ProfileStore;
  readonly definitions: DefinitionStore;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Keeps what was found in every committed turn, once for any number of deliveries, and what the fields
 * of every published version are; until the bus closes.
 */
export async function followTurns(options: FollowTurnsOptions): Promise<void> {
  const { bus, consumer, store, definitions, clock, log } = options;

  async function keepDefinitions(event: Event): Promise<void> {
    const { agentId, version, fieldDefinitions } = messageOf(configPublishedTopic, event);
    // News of a version that was live before has none: nothing changes.
    if (!fieldDefinitions && version !== 0n) return;
    await definitions.keep(event.tenantId, agentId, version, fieldDefinitions?.definitions ?? []);
  }

  async function keepFound(event: Event): Promise<void> {
    const committed = messageOf(turnToldTopic, event);
    const { customerId, extractedFields } = committed;
    if (extractedFields.length === 0 || !isId(customerId)) return;
    const { tenantId } = event;
    const names = extractedFields.map(({ name }) => name);
    const now = clock.now();
    const claims = turnClaims(committed, await definitions.of(tenantId, names), now);
    if (claims.length === 0) return;
    const claimed = await store.claimOnce(event, tenantId, customerId, claims, now);
    log.debug({ tenantId, customerId, claims: claims.length, claimed: claimed.length }, "claimed");
  }

  const topics = [turnToldTopic.name, configPublishedTopic.name];
  await bus.consume({ consumer, topics }, (event) =>
    event.topic === configPublishedTopic.name ? keepDefinitions(event) : keepFound(event),
  );
}
