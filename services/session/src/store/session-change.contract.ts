import { create } from "@bufbuild/protobuf";
import { SessionStateSchema, SessionStatus } from "@soldier/proto/session/v1/session";
import { beforeAll, describe, expect, it } from "vitest";
import type { SessionFilter, SessionStore, Viewer } from "./session-store.ts";
import { opened, type StoreUnderTest, turnOf } from "./testing/bench.ts";
import { anySession, commitOf, inSession, noon, opening, someone } from "./testing/fixtures.ts";

/** What changes of a session by others than its turns, and the lists, must do. */
export function sessionChangeContract(given: () => StoreUnderTest): void {
  let under: StoreUnderTest;
  let store: SessionStore;
  beforeAll(() => {
    under = given();
    store = under.store;
  });

  describe("change", () => {
    it("makes a move and tells of it", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const { event } = commitOf(viewer, stored.session, lease);
      const state = create(SessionStateSchema, { lowConfidenceTurns: 2 });
      const moved = await store.change(viewer, stored.session.id, (session) => ({
        session: { ...session, version: session.version + 1n, state },
        endsTurn: false,
        events: [{ ...event, topic: "audit.event" }],
      }));
      expect(moved).toMatchObject({ leased: true, session: { version: 2n, state } });
      expect((await store.get(viewer, stored.session.id))?.session.state).toEqual(state);
      expect((await under.told(viewer.tenantId)).map((one) => one.topic)).toEqual(["audit.event"]);
      const overtaken = commitOf(viewer, stored.session, lease);
      expect((await store.commit(viewer.tenantId, overtaken)).kind).toBe("version-conflict");
    });

    it("ends the running turn when told to", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      await store.change(viewer, stored.session.id, (session) => ({
        session: { ...session, version: session.version + 1n },
        endsTurn: true,
        events: [],
      }));
      const late = commitOf(viewer, stored.session, lease);
      expect(await store.commit(viewer.tenantId, late)).toEqual({ kind: "lease-lost" });
    });

    it("changes nothing without a move, after a throw, or for somebody else", async () => {
      const viewer = someone();
      const { stored } = await opened(store, viewer);
      const { id } = stored.session;
      expect((await store.change(viewer, id, () => undefined))?.session.version).toBe(1n);
      const refused = new Error("no");
      const refuse = () => {
        throw refused;
      };
      await expect(store.change(viewer, id, refuse)).rejects.toBe(refused);
      expect(await store.change(someone(), id, refuse)).toBeUndefined();
      expect(await store.change({ ...viewer, subject: "bob" }, id, refuse)).toBeUndefined();
      expect((await store.get(viewer, id))?.session.version).toBe(1n);
    });

    it("hides a session that was deleted, but still finds it to say so", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const { id } = stored.session;
      const bury = () =>
        store.change(viewer, id, (session) => ({
          session: {
            ...session,
            meta: { ...session.meta!, deletedAt: session.meta!.createdAt! },
          },
          endsTurn: true,
          events: [],
        }));
      await bury();
      expect(await store.get(viewer, id)).toBeUndefined();
      expect(await store.turns(viewer, id, { rowsMax: 5 })).toBeUndefined();
      expect(await store.begin(viewer, inSession(id))).toEqual({ kind: "absent" });
      expect(await store.list(viewer, anySession, { rowsMax: 5 })).toEqual([]);
      const late = commitOf(viewer, stored.session, lease);
      expect(await store.commit(viewer.tenantId, late)).toEqual({ kind: "absent" });
      expect((await bury())?.session.meta?.deletedAt).toBeDefined();
    });
  });

  describe("lists", () => {
    it("page sessions, the latest first, to the end", async () => {
      const viewer = someone({ seesAll: true });
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) ids.push((await opened(store, viewer)).stored.session.id);
      const seen: string[] = [];
      let before: string | undefined;
      for (let pages = 0; pages < 4; pages++) {
        const rows = await store.list(viewer, anySession, { rowsMax: 2, before });
        seen.push(...rows.map(({ session }) => session.id));
        before = seen.at(-1);
      }
      expect(seen).toEqual(ids.toReversed());
    });

    it("filter sessions by agent, customer, viewer and status", async () => {
      const viewer = someone();
      const all = { ...viewer, seesAll: true };
      const mine = await opened(store, viewer);
      const theirs = await opened(
        store,
        { ...viewer, subject: "bob" },
        { target: { ...opening, agentId: "other", customerId: "customer-2" } },
      );
      await store.abort(viewer.tenantId, theirs.lease);
      const idsOf = async (asker: Viewer, over: Partial<SessionFilter>) => {
        const rows = await store.list(asker, { ...anySession, ...over }, { rowsMax: 9 });
        return rows.map(({ session }) => session.id);
      };
      const [one, two] = [mine.stored.session.id, theirs.stored.session.id];
      expect(await idsOf(viewer, {})).toEqual([one]);
      expect(await idsOf(all, { agentId: "other" })).toEqual([two]);
      expect(await idsOf(all, { customerId: "customer-1" })).toEqual([one]);
      expect(await idsOf(all, { status: SessionStatus.PROCESSING })).toEqual([one]);
      expect(await idsOf(all, { status: SessionStatus.ACTIVE })).toEqual([two]);
      expect(await idsOf(all, { status: SessionStatus.CLOSED })).toEqual([]);
      const later = new Date(noon.getTime() + 1);
      expect(await idsOf(all, { status: SessionStatus.IDLE, idleBefore: later })).toEqual([two]);
      expect(await idsOf(all, { status: SessionStatus.ACTIVE, idleBefore: later })).toEqual([]);
    });

    it("page turns, the latest first, to the end", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const { id } = stored.session;
      expect(await store.turns(viewer, id, { rowsMax: 2 })).toEqual([]);
      await store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease));
      for (let i = 0; i < 4; i++) await turnOf(store, viewer, id);
      const numbers = async (before?: number) =>
        (await store.turns(viewer, id, { rowsMax: 2, before }))?.map(({ number }) => number);
      expect(await numbers()).toEqual([5, 4]);
      expect(await numbers(4)).toEqual([3, 2]);
      expect(await numbers(2)).toEqual([1]);
      expect(await store.turns(someone(), id, { rowsMax: 2 })).toBeUndefined();
    });
  });
}
