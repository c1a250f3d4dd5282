import { beforeAll, describe, expect, it } from "vitest";
import type { SessionStore } from "./session-store.ts";
import { began, committed, opened, type StoreUnderTest } from "./testing/bench.ts";
import { anySession, beginning, commitOf, inSession, someone } from "./testing/fixtures.ts";

/** What an idempotency key must do. */
export function turnKeyContract(given: () => StoreUnderTest): void {
  let under: StoreUnderTest;
  let store: SessionStore;
  beforeAll(() => {
    under = given();
    store = under.store;
  });

  describe("a key", () => {
    const requestHash = Uint8Array.of(1, 2, 3);
    const keyed = { key: { text: "message-1", requestHash } };

    it("stands for the running turn, then for the committed one", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer, keyed);
      expect((await store.begin(viewer, beginning(keyed))).kind).toBe("in-progress");
      const superseding = beginning({ ...keyed, supersede: true });
      expect((await store.begin(viewer, superseding)).kind).toBe("in-progress");
      const commit = commitOf(viewer, stored.session, lease);
      const { turn } = committed(await store.commit(viewer.tenantId, commit));
      const answered = await store.begin(viewer, beginning(keyed));
      expect(answered).toMatchObject({ kind: "answered", turn });
    });

    it("begins again in the same session when its turn was given up", async () => {
      const viewer = someone();
      const first = await opened(store, viewer, keyed);
      await store.abort(viewer.tenantId, first.lease);
      const second = await opened(store, viewer, keyed);
      expect(second.stored.session.id).toBe(first.stored.session.id);
      await under.runOut(viewer.tenantId, second.stored.session.id);
      const third = await opened(store, viewer, keyed);
      expect(third.stored.session.id).toBe(first.stored.session.id);
      expect((await store.begin(viewer, beginning(keyed))).kind).toBe("in-progress");
    });

    it("is refused for another request or another session", async () => {
      const viewer = someone();
      const { lease } = await opened(store, viewer, keyed);
      const other = { key: { text: "message-1", requestHash: Uint8Array.of(9) } };
      expect(await store.begin(viewer, beginning(other))).toEqual({ kind: "key-reused" });
      const inSame = inSession(lease.sessionId, other);
      expect(await store.begin(viewer, inSame)).toEqual({ kind: "key-reused" });
      const elsewhere = await opened(store, viewer);
      await store.abort(viewer.tenantId, elsewhere.lease);
      const inOther = inSession(elsewhere.lease.sessionId, keyed);
      expect(await store.begin(viewer, inOther)).toEqual({ kind: "key-reused" });
    });

    it("belongs to one tenant and one subject", async () => {
      const viewer = someone();
      await opened(store, viewer, keyed);
      await opened(store, { ...viewer, subject: "bob" }, keyed);
      await opened(store, { ...viewer, tenantId: `${viewer.tenantId}-2` }, keyed);
    });

    it("is not used up by a call that was refused", async () => {
      const viewer = someone();
      const running = await opened(store, viewer);
      const { id } = running.stored.session;
      expect((await store.begin(viewer, inSession(id, keyed))).kind).toBe("busy");
      const other = { key: { text: "message-1", requestHash: Uint8Array.of(9) } };
      await store.abort(viewer.tenantId, running.lease);
      began(await store.begin(viewer, inSession(id, other)));
    });

    it("opens one session for many calls at once", async () => {
      const viewer = someone();
      const all = await Promise.all(
        Array.from({ length: 12 }, () => store.begin(viewer, beginning(keyed))),
      );
      expect(all.filter(({ kind }) => kind === "begun")).toHaveLength(1);
      expect(all.filter(({ kind }) => kind === "in-progress")).toHaveLength(11);
      const sessions = await store.list({ ...viewer, seesAll: true }, anySession, { rowsMax: 10 });
      expect(sessions).toHaveLength(1);
    });

    it("goes to one of two sessions that ask for it at once", async () => {
      const viewer = someone();
      const ids: string[] = [];
      for (let i = 0; i < 6; i++) {
        const { lease } = await opened(store, viewer);
        await store.abort(viewer.tenantId, lease);
        ids.push(lease.sessionId);
      }
      const all = await Promise.all(ids.map((id) => store.begin(viewer, inSession(id, keyed))));
      expect(all.filter(({ kind }) => kind === "begun")).toHaveLength(1);
      expect(all.filter(({ kind }) => kind === "key-reused")).toHaveLength(5);
    });
  });
}
