import { create } from "@bufbuild/protobuf";
import { messageOf, readableOf } from "@soldier/events/event";
import { turnCommittedTopic } from "@soldier/events/topics";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { SessionStateSchema, SessionStatus } from "@soldier/proto/session/v1/session";
import { beforeAll, describe, expect, it } from "vitest";
import type { SessionStore } from "./session-store.ts";
import { began, opened, type StoreUnderTest, turnOf } from "./testing/bench.ts";
import { commitOf, inSession, someone } from "./testing/fixtures.ts";

/** What commit, renew and abort must do. */
export function commitTurnContract(given: () => StoreUnderTest): void {
  let under: StoreUnderTest;
  let store: SessionStore;
  beforeAll(() => {
    under = given();
    store = under.store;
  });

  describe("commit", () => {
    /** Only who has written it is told. */
    const updatedBefore = undefined;

    it("writes the state, the turn and the event, and gives the lease back", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const commit = commitOf(viewer, stored.session, lease);
      const result = await store.commit(viewer.tenantId, commit);
      expect(result).toMatchObject({ kind: "committed", version: 2n, turn: commit.turn });
      const after = await store.get(viewer, stored.session.id);
      expect(after?.leased).toBe(false);
      expect(after?.session).toMatchObject({
        version: 2n,
        turnCount: 1,
        state: { bundleVersion: 7n },
      });
      expect(await store.turns(viewer, stored.session.id, { rowsMax: 5 })).toEqual([commit.turn]);
      const [event, ...more] = await under.told(viewer.tenantId);
      expect(more).toEqual([]);
      expect(event?.topic).toBe("turn.committed");
      const { topic = "", payload = Uint8Array.of() } = event ?? {};
      const { tenantId } = viewer;
      const whole = { id: newId(), topic, tenantId, payload, occurredAt: commit.now };
      expect(messageOf(turnCommittedTopic, whole)).toMatchObject({
        tenantId: viewer.tenantId,
        agentId: "desk",
        customerId: "customer-1",
        channel: Channel.WEBCHAT,
        turn: commit.turn,
      });
      for (let size = 0; size < payload.length; size++) {
        const cut = { ...whole, payload: payload.subarray(0, size) };
        expect(readableOf(turnCommittedTopic, cut)).toBeUndefined();
      }
    });

    it("answers as the first time when repeated, also after later turns", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const commit = commitOf(viewer, stored.session, lease);
      const first = await store.commit(viewer.tenantId, commit);
      expect(await store.commit(viewer.tenantId, commit)).toEqual({ ...first, updatedBefore });
      await turnOf(store, viewer, stored.session.id);
      expect(await store.commit(viewer.tenantId, commit)).toEqual({ ...first, updatedBefore });
      expect(await under.told(viewer.tenantId)).toHaveLength(2);
    });

    it("is done once when it is sent many times at once", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const commit = commitOf(viewer, stored.session, lease);
      const all = await Promise.all(
        Array.from({ length: 10 }, () => store.commit(viewer.tenantId, commit)),
      );
      for (const one of all)
        expect({ ...one, updatedBefore }).toEqual({ ...all[0], updatedBefore });
      expect(all.filter((one) => "updatedBefore" in one)).toHaveLength(1);
      expect(await under.told(viewer.tenantId)).toHaveLength(1);
    });

    it("refuses a stale version and a wrong number, and keeps the lease", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const { session } = stored;
      const stale = commitOf(viewer, session, lease, { expectedVersion: 9n });
      expect(await store.commit(viewer.tenantId, stale)).toEqual({
        kind: "version-conflict",
        version: 1n,
      });
      const wrong = commitOf(viewer, { ...session, turnCount: 4 }, lease);
      expect(await store.commit(viewer.tenantId, wrong)).toEqual({
        kind: "wrong-number",
        expected: 1,
      });
      expect(await under.told(viewer.tenantId)).toEqual([]);
      const right = commitOf(viewer, session, lease);
      expect((await store.commit(viewer.tenantId, right)).kind).toBe("committed");
    });

    it("refuses a state that is too large, and keeps the lease", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const state = create(SessionStateSchema, { appliedRuleIds: ["x".repeat(256 * 1024)] });
      const large = commitOf(viewer, stored.session, lease, { state });
      await expect(store.commit(viewer.tenantId, large)).rejects.toMatchObject({
        reason: "STATE_TOO_LARGE",
      });
      expect(await under.told(viewer.tenantId)).toEqual([]);
      const right = commitOf(viewer, stored.session, lease);
      expect((await store.commit(viewer.tenantId, right)).kind).toBe("committed");
    });

    it("refuses an older lease of the same turn's session, and another tenant's", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const old = { ...lease, token: lease.token - 1n };
      const commit = commitOf(viewer, stored.session, old);
      expect(await store.commit(viewer.tenantId, commit)).toEqual({ kind: "lease-lost" });
      const foreign = commitOf(viewer, stored.session, lease);
      expect(await store.commit("someone else", foreign)).toEqual({ kind: "absent" });
    });

    it("refuses a turn id that another session has committed, and writes nothing", async () => {
      const viewer = someone();
      const turnId = newId();
      const one = await opened(store, viewer, { turnId });
      const two = await opened(store, viewer);
      await store.abort(viewer.tenantId, two.lease);
      const { id } = two.stored.session;
      const same = began(await store.begin(viewer, inSession(id, { turnId })));
      await store.commit(viewer.tenantId, commitOf(viewer, one.stored.session, one.lease));
      const clash = commitOf(viewer, same.stored.session, same.lease);
      expect(await store.commit(viewer.tenantId, clash)).toEqual({ kind: "turn-id-reused" });
      expect((await store.get(viewer, id))?.session.version).toBe(1n);
    });

    it("tells that the session was closed when the turn closes it", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const { event } = commitOf(viewer, stored.session, lease);
      const closedEvent = { ...event, id: newId(), topic: "session.closed" };
      const seen: bigint[] = [];
      const commit = commitOf(viewer, stored.session, lease, {
        status: SessionStatus.CLOSED,
        closing: (session) => {
          seen.push(session.version);
          return [closedEvent];
        },
      });
      await store.commit(viewer.tenantId, commit);
      expect(seen).toEqual([2n]);
      const told = await under.told(viewer.tenantId);
      expect(told.map((one) => one.topic)).toEqual(["turn.committed", "session.closed"]);
      expect((await store.get(viewer, stored.session.id))?.session.status).toBe(
        SessionStatus.CLOSED,
      );
    });

    it("gives copies: changing them changes nothing stored", async () => {
      const viewer = someone();
      const { stored } = await opened(store, viewer);
      const copy = await store.get(viewer, stored.session.id);
      if (copy) copy.session.metadata["page"] = "changed";
      const again = await store.get(viewer, stored.session.id);
      expect(again?.session.metadata).toEqual({ page: "/returns" });
    });
  });

  describe("a lease", () => {
    it("lasts longer when renewed, and is lost to whoever took it", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const renewed = await store.renew(viewer.tenantId, lease, 120_000);
      expect(renewed?.remainingMs).toBe(120_000);
      expect(renewed?.expiresAt.getTime()).toBeGreaterThan(lease.expiresAt.getTime());
      await store.begin(viewer, inSession(stored.session.id, { supersede: true }));
      expect(await store.renew(viewer.tenantId, lease, 1_000)).toBeUndefined();
    });

    it("is given back by an abort, as often as one likes, but not by one that lost it", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const { id } = stored.session;
      await store.abort(viewer.tenantId, lease);
      await store.abort(viewer.tenantId, lease);
      const second = began(await store.begin(viewer, inSession(id)));
      await store.abort(viewer.tenantId, lease);
      expect((await store.get(viewer, id))?.leased).toBe(true);
      await store.abort(viewer.tenantId, second.lease);
      expect((await store.get(viewer, id))?.leased).toBe(false);
    });
  });
}
