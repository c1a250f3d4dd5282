import type { EventBus } from "@soldier/events/bus";
import { messageOf } from "@soldier/events/event";
import { turnCommittedTopic } from "@soldier/events/topics";
import type { Clock } from "@soldier/kernel/clock";
import { isId } from "@soldier/kernel/ids";
import type { Log } from "@soldier/kernel/log";
import type { ProfileStore } from "../store/profile-store.ts";
import { turnClaims } from "./turn-claims.ts";

export interface FollowTurnsOptions {
  readonly bus: EventBus;
  readonly consumer: string;
  readonly store: ProfileStore;
  readonly clock: Clock;
  readonly log: Log;
}

/** Keeps what was found in every committed turn, once for any number of deliveries; until the bus closes. */
export async function followTurns(options: FollowTurnsOptions): Promise<void> {
  const { bus, consumer, store, clock, log } = options;
  await bus.consume({ consumer, topics: [turnCommittedTopic.name] }, async (event) => {
    const committed = messageOf(turnCommittedTopic, event);
    const { customerId } = committed;
    const claims = turnClaims(committed);
    if (claims.length === 0 || !isId(customerId)) return;
    const { tenantId } = event;
    const claimed = await store.claimOnce(event, tenantId, customerId, claims, clock.now());
    log.debug({ tenantId, customerId, claims: claims.length, claimed: claimed.length }, "claimed");
  });
}
