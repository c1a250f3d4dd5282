import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { SessionStatus } from "@soldier/proto/session/v1/session";
import { beforeAll, describe, expect, it } from "vitest";
import type { SessionStore } from "./session-store.ts";
import { began, committed, opened, type StoreUnderTest, turnOf } from "./testing/bench.ts";
import { beginning, commitOf, inSession, someone } from "./testing/fixtures.ts";

/** What begin must do. */
export function beginTurnContract(given: () => StoreUnderTest): void {
  let under: StoreUnderTest;
  let store: SessionStore;
  beforeAll(() => {
    under = given();
    store = under.store;
  });

  describe("begin", () => {
    it("opens a session with its first turn's lease", async () => {
      const viewer = someone();
      const { stored, lease, history } = await opened(store, viewer);
      expect(stored.session).toMatchObject({
        agentId: "desk",
        customerId: "customer-1",
        channel: Channel.WEBCHAT,
        status: SessionStatus.ACTIVE,
        version: 1n,
        turnCount: 0,
        metadata: { page: "/returns" },
        openedBy: "ann",
      });
      expect(lease).toMatchObject({ sessionId: stored.session.id, token: 1n, remainingMs: 60_000 });
      expect(history).toEqual([]);
      const found = await store.get(viewer, stored.session.id);
      expect(found).toEqual({ session: stored.session, leased: true });
    });

    it("reads the latest turns, oldest first", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const { id } = stored.session;
      await store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease));
      for (let i = 0; i < 3; i++) await turnOf(store, viewer, id);
      const { history } = began(await store.begin(viewer, inSession(id, { historyMax: 2 })));
      expect(history.map(({ number }) => number)).toEqual([3, 4]);
      expect(history[0]?.userText).toBe("where is my parcel?");
    });

    it("says that there is no such session", async () => {
      const viewer = someone();
      expect(await store.begin(viewer, inSession(newId()))).toEqual({ kind: "absent" });
    });

    it("hides one tenant's session from another, and one caller's from another", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const { id } = stored.session;
      await store.abort(viewer.tenantId, lease);
      expect(await store.begin(someone(), inSession(id))).toEqual({ kind: "absent" });
      const other = { ...viewer, subject: "bob" };
      expect(await store.begin(other, inSession(id))).toEqual({ kind: "absent" });
      const operator = { ...other, seesAll: true };
      expect((await store.begin(operator, inSession(id))).kind).toBe("begun");
    });

    it("is busy while another turn runs, and not once its lease has run out", async () => {
      const viewer = someone();
      const first = await opened(store, viewer);
      const { id } = first.stored.session;
      const busy = await store.begin(viewer, inSession(id));
      expect(busy).toMatchObject({ kind: "busy", stored: { leased: true } });
      await under.runOut(viewer.tenantId, id);
      const second = began(await store.begin(viewer, inSession(id)));
      expect(second.lease.token).toBe(first.lease.token + 1n);
      const late = await store.commit(
        viewer.tenantId,
        commitOf(viewer, first.stored.session, first.lease),
      );
      expect(late).toEqual({ kind: "lease-lost" });
    });

    it("tells a turn what was written in those that it takes the place of, and no other", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer, { text: "Hi" });
      const { id } = stored.session;
      const next = (text: string, over = {}) =>
        store.begin(viewer, inSession(id, { text, supersede: true, ...over }));
      expect(began(await next("Wait")).superseded).toEqual(["Hi"]);
      const turnId = newId();
      const third = began(await next("Cancel that", { turnId }));
      expect(third.superseded).toEqual(["Hi", "Wait"]);
      const repeated = began(await next("Cancel that", { turnId }));
      expect(repeated.superseded).toEqual(["Hi", "Wait"]);
      expect(lease.token).not.toBe(third.lease.token);
      await store.commit(viewer.tenantId, commitOf(viewer, stored.session, repeated.lease));
      const fourth = began(await next("Thanks"));
      expect(fourth.superseded).toEqual([]);
      await store.abort(viewer.tenantId, fourth.lease);
      expect(began(await next("Hello?")).superseded).toEqual([]);
      for (let i = 0; i < 12; i++) await next(`${i}`);
      expect(began(await next("the end")).superseded).toEqual(
        Array.from({ length: 10 }, (_, i) => `${i + 2}`),
      );
    });

    it("takes the place of a running turn when told to supersede it", async () => {
      const viewer = someone();
      const first = await opened(store, viewer);
      const { session } = first.stored;
      const second = began(await store.begin(viewer, inSession(session.id, { supersede: true })));
      expect(second.lease.token).toBe(2n);
      const superseded = await store.commit(
        viewer.tenantId,
        commitOf(viewer, session, first.lease),
      );
      expect(superseded).toEqual({ kind: "lease-lost" });
      const next = commitOf(viewer, second.stored.session, second.lease);
      expect((await store.commit(viewer.tenantId, next)).kind).toBe("committed");
    });

    it("takes the same turn for the same turn", async () => {
      const viewer = someone();
      const asked = beginning();
      const first = began(await store.begin(viewer, asked));
      const again = began(await store.begin(viewer, asked));
      expect(again.stored.session.id).toBe(first.stored.session.id);
      expect(again.lease.token).toBe(first.lease.token);
      await under.runOut(viewer.tenantId, first.stored.session.id);
      expect(began(await store.begin(viewer, asked)).lease.token).toBe(first.lease.token);
      const commit = commitOf(viewer, first.stored.session, first.lease);
      const { turn } = committed(await store.commit(viewer.tenantId, commit));
      expect(await store.begin(viewer, asked)).toMatchObject({ kind: "answered", turn });
    });

    it("lets one of many that come at once for one session begin", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      await store.abort(viewer.tenantId, lease);
      const all = await Promise.all(
        Array.from({ length: 20 }, () => store.begin(viewer, inSession(stored.session.id))),
      );
      expect(all.filter(({ kind }) => kind === "begun")).toHaveLength(1);
      expect(all.filter(({ kind }) => kind === "busy")).toHaveLength(19);
    });

    it("opens one session for one call, however often it is sent at once", async () => {
      const viewer = someone();
      const asked = beginning();
      const all = await Promise.all(Array.from({ length: 8 }, () => store.begin(viewer, asked)));
      expect(new Set(all.map((one) => began(one).stored.session.id)).size).toBe(1);
    });

    it("refuses a session that is closed", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const { session } = stored;
      const commit = commitOf(viewer, session, lease, { status: SessionStatus.CLOSED });
      await store.commit(viewer.tenantId, commit);
      expect(await store.begin(viewer, inSession(session.id))).toEqual({ kind: "closed" });
    });

    it("refuses the id of another session's turn", async () => {
      const viewer = someone();
      const first = await opened(store, viewer);
      await store.commit(viewer.tenantId, commitOf(viewer, first.stored.session, first.lease));
      const other = await opened(store, viewer);
      await store.abort(viewer.tenantId, other.lease);
      const again = inSession(other.stored.session.id, { turnId: first.lease.turnId });
      expect(await store.begin(viewer, again)).toEqual({ kind: "turn-id-reused" });
    });
  });
}
