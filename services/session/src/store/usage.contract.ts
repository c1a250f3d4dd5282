import { beforeAll, describe, expect, it } from "vitest";
import type { SessionStore } from "./session-store.ts";
import { opened, type StoreUnderTest } from "./testing/bench.ts";
import { commitOf, someone } from "./testing/fixtures.ts";

const nothing = { tokens: 0n, costMicros: 0n };

/** What the count of a tenant's day must do. */
export function usageContract(given: () => StoreUnderTest): void {
  let under: StoreUnderTest;
  let store: SessionStore;
  beforeAll(() => {
    under = given();
    store = under.store;
  });

  describe("usage", () => {
    it("is the sum of what turns of the day have used, tenants apart", async () => {
      const [viewer, other] = [someone(), someone()];
      expect(await store.usageToday(viewer.tenantId)).toEqual(nothing);
      await Promise.all(
        Array.from({ length: 10 }, async () => {
          const { stored, lease } = await opened(store, viewer);
          const usage = { tokens: 7n, costMicros: 10_000_000_000n };
          const commit = commitOf(viewer, stored.session, lease, { usage });
          await store.commit(viewer.tenantId, commit);
        }),
      );
      const used = { tokens: 70n, costMicros: 100_000_000_000n };
      expect(await store.usageToday(viewer.tenantId)).toEqual(used);
      expect(await store.usageToday(other.tenantId)).toEqual(nothing);
    });

    it("counts a commit once, however often it is sent, and a refused one never", async () => {
      const viewer = someone();
      const usage = { tokens: 5n, costMicros: 1n };
      const { stored, lease } = await opened(store, viewer);
      const commit = commitOf(viewer, stored.session, lease, { usage });
      await store.commit(viewer.tenantId, { ...commit, expectedVersion: 9n });
      expect(await store.usageToday(viewer.tenantId)).toEqual(nothing);
      const many = Array.from({ length: 8 }, () => store.commit(viewer.tenantId, commit));
      await Promise.all(many);
      expect(await store.usageToday(viewer.tenantId)).toEqual(usage);
    });

    it("has what turns used that were given up, also after they had lost their lease", async () => {
      const viewer = someone();
      const usage = { tokens: 5n, costMicros: 1n };
      const { stored, lease } = await opened(store, viewer);
      await store.abort(viewer.tenantId, lease, usage);
      expect(await store.usageToday(viewer.tenantId)).toEqual(usage);
      const next = await opened(store, viewer);
      await store.commit(viewer.tenantId, commitOf(viewer, next.stored.session, next.lease));
      await store.abort(viewer.tenantId, next.lease, usage);
      expect(await store.usageToday(viewer.tenantId)).toEqual({ tokens: 10n, costMicros: 2n });
      await store.abort(viewer.tenantId, { ...lease, sessionId: stored.session.id });
      expect(await store.usageToday(viewer.tenantId)).toEqual({ tokens: 10n, costMicros: 2n });
    });

    it("of turns that say nothing of it is nothing", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      await store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease));
      expect(await store.usageToday(viewer.tenantId)).toEqual(nothing);
    });

    it("begins again with each day, and is forgotten after the next", async () => {
      const viewer = someone();
      const usage = { tokens: 5n, costMicros: 1n };
      for (const daysAgo of [1, 3]) {
        const { stored, lease } = await opened(store, viewer);
        await store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease, { usage }));
        await under.usedBefore(viewer.tenantId, daysAgo);
      }
      expect(await store.usageToday(viewer.tenantId)).toEqual(nothing);
      expect(await under.daysCounted(viewer.tenantId)).toEqual([4, 3]);
      const { stored, lease } = await opened(store, viewer);
      await store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease, { usage }));
      expect(await store.usageToday(viewer.tenantId)).toEqual(usage);
      expect(await under.daysCounted(viewer.tenantId)).toEqual([0]);
    });
  });
}
