import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { newId } from "@soldier/kernel/ids";
import type { Channel } from "@soldier/proto/common/v1/resource";
import {
  type Session,
  type SessionState,
  SessionStateSchema,
  type StepVisit,
  StepVisitSchema,
  type Turn,
  TurnSchema,
} from "@soldier/proto/session/v1/session";
import { beforeAll, describe, expect, it } from "vitest";
import type { SessionStore, StoredStatus } from "./session-store.ts";
import { began, opened, type StoreUnderTest, turnOf } from "./testing/bench.ts";
import { anySession, commitOf, inSession, opening, someone } from "./testing/fixtures.ts";

/** What every read must give, whichever way it goes: what was written, whole, to those who may see it. */
export function keptWholeContract(given: () => StoreUnderTest): void {
  let under: StoreUnderTest;
  let store: SessionStore;
  beforeAll(() => {
    under = given();
    store = under.store;
  });

  const turnsMax = { rowsMax: 9 };

  describe("what is read", () => {
    it("is nothing where there is nothing", async () => {
      const viewer = someone();
      const lease = { sessionId: newId(), turnId: newId(), token: 1n };
      expect(await store.get(viewer, lease.sessionId)).toBeUndefined();
      expect(await store.turns(viewer, lease.sessionId, turnsMax)).toBeUndefined();
      expect(await store.list(viewer, anySession, turnsMax)).toEqual([]);
      expect(await store.renew(viewer.tenantId, lease, 1_000)).toBeUndefined();
      await store.abort(viewer.tenantId, lease);
      expect(await store.change(viewer, lease.sessionId, () => undefined)).toBeUndefined();
    });

    it("is the tenant's own, though another names the session", async () => {
      const viewer = someone();
      const stranger = someone({ seesAll: true });
      const { stored, lease } = await opened(store, viewer);
      const { id } = stored.session;
      await store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease));
      await turnOf(store, viewer, id);
      expect(await store.get(stranger, id)).toBeUndefined();
      expect(await store.turns(stranger, id, turnsMax)).toBeUndefined();
      expect(await store.list(stranger, anySession, turnsMax)).toEqual([]);
      expect(await store.begin(stranger, inSession(id))).toEqual({ kind: "absent" });
    });

    it("is what was written a moment ago, turn after turn", async () => {
      const viewer = someone();
      const first = await opened(store, viewer);
      const { id } = first.stored.session;
      await store.commit(viewer.tenantId, commitOf(viewer, first.stored.session, first.lease));
      const told: Turn[] = [...((await store.turns(viewer, id, turnsMax)) ?? [])];
      for (let i = 2; i <= 6; i++) {
        const { stored, lease, history } = began(await store.begin(viewer, inSession(id)));
        expect(history).toEqual(told);
        const state = create(SessionStateSchema, { bundleVersion: BigInt(i) });
        const commit = commitOf(viewer, stored.session, lease, { state });
        await store.commit(viewer.tenantId, commit);
        told.push(commit.turn);
        expect((await store.get(viewer, id))?.session.state).toEqual(state);
        expect(await store.turns(viewer, id, turnsMax)).toEqual(told.toReversed());
      }
      const last = began(await store.begin(viewer, inSession(id)));
      expect(last.stored.session.state?.bundleVersion).toBe(6n);
    });

    it("is a copy: a caller who changes it changes it for nobody else", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const { id } = stored.session;
      const commit = commitOf(viewer, stored.session, lease);
      const { replyText } = commit.turn;
      await store.commit(viewer.tenantId, commit);
      commit.turn.replyText = "changed after the commit";
      commit.state.bundleVersion = 99n;
      for (let i = 0; i < 2; i++) {
        const begun = began(await store.begin(viewer, inSession(id)));
        expect(begun.history[0]?.replyText).toBe(replyText);
        expect(begun.stored.session.state?.bundleVersion).toBe(7n);
        for (const turn of begun.history) turn.replyText = "changed after it was read";
        if (begun.stored.session.state) begun.stored.session.state.bundleVersion = 98n;
        await store.abort(viewer.tenantId, begun.lease);
      }
    });

    it("holds what a newer release has written, though this one has no word for it", async () => {
      const viewer = someone();
      const channel = 99 as Channel;
      const { stored, lease } = await opened(store, viewer, { target: { ...opening, channel } });
      const { id } = stored.session;
      const reason = 98 as StepVisit["reason"];
      const visits = [create(StepVisitSchema, { turn: 1, reason })];
      const state = newer(create(SessionStateSchema, { visits }));
      const status = 97 as StoredStatus;
      const commit = commitOf(viewer, stored.session, lease, { state, status });
      commit.turn.outcome = 96 as Turn["outcome"];
      const turn = newer(commit.turn);
      expect((await store.commit(viewer.tenantId, commit)).kind).toBe("committed");
      const isWhole = (session: Session | undefined, turns: readonly Turn[] = []) => {
        expect(session).toMatchObject({ channel, status });
        const found = toBinary(SessionStateSchema, session?.state ?? create(SessionStateSchema));
        expect(fromBinary(SessionStateSchema, found)).toEqual(state);
        expect(turns.map((one) => fromBinary(TurnSchema, toBinary(TurnSchema, one)))).toEqual([
          turn,
        ]);
      };
      const [found, turns] = [await store.get(viewer, id), await store.turns(viewer, id, turnsMax)];
      isWhole(found?.session, turns);
      const [listed] = await store.list(viewer, anySession, turnsMax);
      expect(listed?.session).toMatchObject({ channel, status });
      for (let i = 0; i < 2; i++) {
        const begun = began(await store.begin(viewer, inSession(id)));
        isWhole(begun.stored.session, begun.history);
        await store.abort(viewer.tenantId, begun.lease);
      }
    });
  });
}

/** With a field that this release does not know. */
function newer<T extends SessionState | Turn>(message: T): T {
  message.$unknown = [{ no: 9_999, wireType: 0, data: Uint8Array.of(5) }];
  return message;
}
