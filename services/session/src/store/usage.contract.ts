import { beforeAll, describe, expect, it } from "vitest";
import type { SessionStore } from "./session-store.ts";
import { began, opened, type StoreUnderTest } from "./testing/bench.ts";
import { commitOf, inSession, someone } from "./testing/fixtures.ts";

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
      const lost = began(await store.begin(viewer, inSession(stored.session.id)));
      const next = inSession(stored.session.id, { supersede: true });
      began(await store.begin(viewer, next));
      await store.abort(viewer.tenantId, lost.lease, usage);
      expect(await store.usageToday(viewer.tenantId)).toEqual({ tokens: 10n, costMicros: 2n });
      await store.abort(viewer.tenantId, { ...lease, sessionId: stored.session.id });
      expect(await store.usageToday(viewer.tenantId)).toEqual({ tokens: 10n, costMicros: 2n });
    });

    it("counts what a turn used once, however often it is given up", async () => {
      const viewer = someone();
      const usage = { tokens: 5n, costMicros: 1n };
      const { stored, lease } = await opened(store, viewer);
      const { tenantId } = viewer;
      await Promise.all(Array.from({ length: 8 }, () => store.abort(tenantId, lease, usage)));
      await store.abort(tenantId, lease, usage);
      expect(await store.usageToday(tenantId)).toEqual(usage);
      // The same turn may try again, which is another attempt with a use of its own.
      const again = inSession(stored.session.id, { turnId: lease.turnId });
      const { lease: second } = began(await store.begin(viewer, again));
      await store.abort(tenantId, second, usage);
      await store.abort(tenantId, second, usage);
      expect(await store.usageToday(tenantId)).toEqual({ tokens: 10n, costMicros: 2n });
    });

    it("has a turn's use once when it was committed and nobody heard of it", async () => {
      const viewer = someone();
      const { tenantId } = viewer;
      const usage = { tokens: 5n, costMicros: 1n };
      for (let n = 1; n <= 10; n++) {
        const { stored, lease } = await opened(store, viewer);
        const commit = commitOf(viewer, stored.session, lease, { usage });
        await Promise.all([
          store.commit(tenantId, commit),
          store.abort(tenantId, lease, usage),
          store.abort(tenantId, lease, usage),
        ]);
        await store.abort(tenantId, lease, usage);
        const used = { tokens: BigInt(5 * n), costMicros: BigInt(n) };
        expect(await store.usageToday(tenantId)).toEqual(used);
      }
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
