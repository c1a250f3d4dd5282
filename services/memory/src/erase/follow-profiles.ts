import type { EventBus } from "@soldier/events/bus";
import { messageOf } from "@soldier/events/event";
import { profileErasedTopic } from "@soldier/events/topics";
import type { ErasureStore } from "../store/erasure-store.ts";
import type { Eraser } from "./erase.ts";

export interface FollowProfilesOptions {
  readonly bus: Pick<EventBus, "consume">;
  readonly consumer: string;
  readonly store: Pick<ErasureStore, "covers">;
  readonly eraser: Pick<Eraser, "erase">;
}

/** Erases here, and wherever else, whoever was erased in profile by itself; until the bus closes. */
export async function followProfiles(options: FollowProfilesOptions): Promise<void> {
  const { bus, consumer, store, eraser } = options;
  await bus.consume({ consumer, topics: [profileErasedTopic.name] }, async (event) => {
    const { tenantId } = event;
    const { customerIds } = messageOf(profileErasedTopic, event);
    const [customerId] = customerIds;
    // Mostly it is an erasure from here that has come to profile.
    if (!customerId || (await store.covers(tenantId, customerIds, event.occurredAt))) return;
    await eraser.erase({ tenantId, askedBy: "profile" }, { kind: "customer", customerId });
  });
}
