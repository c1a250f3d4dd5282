import { everyTenantSql } from "@soldier/storage/tenant";
import { describeOn, testPostgres, type TestPostgres } from "@soldier/storage/testing";
import { register } from "prom-client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { postgresSessionStore } from "./postgres.ts";
import { pruneTurnKeys } from "./prune-turn-keys.ts";
import type { SessionStore } from "./session-store.ts";
import { began, committed, opened as begun } from "./testing/bench.ts";
import { beginning, commitOf, inSession, migrations, someone } from "./testing/fixtures.ts";

describeOn("keys of turns", testPostgres(migrations), (backend) => {
  const opened = new AsyncDisposableStack();
  let place: TestPostgres;
  let store: SessionStore;
  beforeAll(async () => {
    place = opened.use(await backend.open());
    store = postgresSessionStore(place.sql);
  });
  afterAll(() => opened.disposeAsync());

  const keyed = (text: string, now: Date) => ({
    key: { text, requestHash: Uint8Array.of(1) },
    now,
  });
  const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000);
  const prune = (rowsMax: number) => pruneTurnKeys(everyTenantSql(place.sql), 7, rowsMax);

  it("stand for their turns for as long as they are kept, of every tenant, a piece at a time", async () => {
    const viewers = [someone(), someone()];
    for (const viewer of viewers)
      for (const [text, days] of [
        ["old", 8],
        ["young", 6],
      ] as const) {
        const { stored, lease } = await begun(store, viewer, keyed(text, daysAgo(days)));
        committed(await store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease)));
      }
    expect(await prune(1)).toBe(1);
    expect(await prune(10)).toBe(1);
    expect(await prune(10)).toBe(0);
    for (const viewer of viewers) {
      const again = await store.begin(viewer, beginning(keyed("young", new Date())));
      expect(again.kind).toBe("answered");
      began(await store.begin(viewer, beginning(keyed("old", new Date()))));
    }
  });

  it("are as old as the last turn that was begun for them", async () => {
    const viewer = someone();
    const first = await begun(store, viewer, keyed("tried again", daysAgo(20)));
    await store.abort(viewer.tenantId, first.lease);
    await begun(store, viewer, keyed("tried again", daysAgo(1)));
    expect(await prune(10)).toBe(0);
    const again = await store.begin(viewer, beginning(keyed("tried again", new Date())));
    expect(again.kind).toBe("in-progress");
  });

  it("and leases that are taken over are counted, by how", async () => {
    const taken = async () => {
      const metric = await register.getSingleMetric("soldier_session_lease_takeovers_total")?.get();
      return Object.fromEntries(
        (metric?.values ?? []).map(({ labels, value }) => [labels["how"], value]),
      );
    };
    const viewer = someone();
    const { lease } = await begun(store, viewer);
    await store.abort(viewer.tenantId, lease); // given back: nothing to take
    const { sessionId } = lease;
    await begun(store, viewer, inSession(sessionId));
    const before = await taken();
    await begun(store, viewer, inSession(sessionId, { supersede: true, leaseMs: 0 }));
    const late = inSession(sessionId);
    await begun(store, viewer, late);
    await begun(store, viewer, late); // the same turn again
    const after = await taken();
    expect((after["superseded"] ?? 0) - (before["superseded"] ?? 0)).toBe(1);
    expect((after["expired"] ?? 0) - (before["expired"] ?? 0)).toBe(1);
  });
});
