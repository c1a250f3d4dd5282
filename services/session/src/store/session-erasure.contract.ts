import { beforeAll, describe, expect, it } from "vitest";
import type { SessionErasure, SessionStore, Viewer } from "./session-store.ts";
import { began, opened, type StoreUnderTest, turnOf } from "./testing/bench.ts";
import { commitOf, inSession, opening, someone } from "./testing/fixtures.ts";

/** What erasing sessions must do. */
export function sessionErasureContract(given: () => StoreUnderTest): void {
  let under: StoreUnderTest;
  let store: SessionStore;
  beforeAll(() => {
    under = given();
    store = under.store;
  });

  const all = { until: undefined, dryRun: false };
  const erase = (viewer: Viewer, scope: SessionErasure["scope"], over = {}) =>
    store.erase(viewer.tenantId, { scope, ...all, ...over });

  /** A session with a committed turn, whose events have been published. */
  async function talked(viewer: Viewer, customerId = "customer-1") {
    const target = { ...opening, customerId };
    const { stored, lease } = await opened(store, viewer, { target });
    await store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease));
    await turnOf(store, viewer, stored.session.id);
    await under.published(viewer.tenantId);
    return { sessionId: stored.session.id, turnId: lease.turnId };
  }
  const turns = (viewer: Viewer, sessionId: string) =>
    store.turns(viewer, sessionId, { rowsMax: 10 });

  describe("erase", () => {
    it("empties what one side said in a turn, and whatever holds the session reads it anew", async () => {
      const viewer = someone();
      const { sessionId, turnId } = await talked(viewer);
      const scope = { kind: "text", turnId, reply: false } as const;
      expect(await erase(viewer, scope)).toMatchObject({
        counts: { texts: 1, outbox_events: 1 },
        pending: 0,
      });
      const found = (await turns(viewer, sessionId))?.find(({ id }) => id === turnId);
      expect(found).toMatchObject({ userText: "", replyText: `answer of ${turnId}` });
      const { history } = began(await store.begin(viewer, inSession(sessionId)));
      expect(history.map(({ userText }) => userText)).toEqual(["", "where is my parcel?"]);
      expect((await erase(viewer, scope)).counts).toMatchObject({ outbox_events: 0 });
    });

    it("removes a session with its turns, and no other", async () => {
      const viewer = someone();
      const [gone, stays] = [await talked(viewer), await talked(viewer)];
      const { sessionId } = gone;
      const { counts } = await erase(viewer, { kind: "session", sessionId });
      expect(counts).toMatchObject({ sessions: 1, turns: 2, outbox_events: 2 });
      expect(await store.get(viewer, sessionId)).toBeUndefined();
      expect(await turns(viewer, sessionId)).toBeUndefined();
      expect(await turns(viewer, stays.sessionId)).toHaveLength(2);
      expect((await erase(viewer, { kind: "session", sessionId })).counts).toMatchObject({
        sessions: 0,
        turns: 0,
      });
    });

    it("removes a customer's sessions, deleted ones too, and a tenant's", async () => {
      const [viewer, other] = [someone(), someone()];
      const ana = await talked(viewer, "ana");
      const ben = await talked(viewer, "ben");
      const elsewhere = await talked(other, "ana");
      const { counts } = await erase(viewer, { kind: "customer", customerId: "ana" });
      expect(counts).toMatchObject({ sessions: 1, turns: 2 });
      expect(await store.get(viewer, ana.sessionId)).toBeUndefined();
      expect(await store.get(viewer, ben.sessionId)).toBeDefined();
      expect((await erase(viewer, { kind: "tenant" })).counts).toMatchObject({ sessions: 1 });
      expect(await store.get(other, elsewhere.sessionId)).toBeDefined();
    });

    it("leaves what was opened later", async () => {
      const viewer = someone();
      const { sessionId } = await talked(viewer, "ana");
      const until = new Date(0);
      const { counts } = await erase(viewer, { kind: "customer", customerId: "ana" }, { until });
      expect(counts).toMatchObject({ sessions: 0 });
      expect(await store.get(viewer, sessionId)).toBeDefined();
    });

    it("counts without changing anything", async () => {
      const viewer = someone();
      const { sessionId } = await talked(viewer);
      const scope = { kind: "session", sessionId } as const;
      const { counts } = await erase(viewer, scope, { dryRun: true });
      expect(await turns(viewer, sessionId)).toHaveLength(2);
      expect((await erase(viewer, scope)).counts).toEqual(counts);
    });

    it("leaves events until they are published, and tells of them", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      await store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease));
      const scope = { kind: "session", sessionId: stored.session.id } as const;
      expect(await erase(viewer, scope)).toMatchObject({ pending: 1 });
      expect(await under.told(viewer.tenantId)).toHaveLength(1);
      await under.published(viewer.tenantId);
      expect(await erase(viewer, scope)).toMatchObject({
        pending: 0,
        counts: { outbox_events: 1 },
      });
      expect(await under.told(viewer.tenantId)).toEqual([]);
    });

    it("refuses the commit of a turn whose session is gone", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      await erase(viewer, { kind: "session", sessionId: stored.session.id });
      const late = await store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease));
      expect(late.kind).not.toBe("committed");
    });
  });
}
