import assert from "node:assert/strict";
import { newId } from "@soldier/kernel/ids";
import type { Session } from "@soldier/proto/session/v1/session";
import type { StoreUnderTest } from "./bench.ts";
import type { Begun, GivenLease, Viewer } from "../session-store.ts";
import { type Act, at, keyOf } from "./acts.ts";
import { beginning, commitOf, inSession } from "./fixtures.ts";

/** Many workers on the same sessions at the same time; there is no model but what must never be. */
export class Crowd {
  readonly #sessions: string[] = [];
  readonly #committed = new Map<string, { readonly sessionId: string; readonly number: number }>();
  readonly #rights = new Set<string>();
  readonly #keyed = new Map<string, number>();
  readonly #under: StoreUnderTest;
  readonly #viewer: Viewer;

  constructor(under: StoreUnderTest, viewer: Viewer) {
    this.#under = under;
    this.#viewer = viewer;
  }

  async open(): Promise<void> {
    for (let i = 0; i < 2; i++) {
      const begun = await this.#under.store.begin(this.#viewer, beginning());
      if (begun.kind === "begun") {
        this.#sessions.push(begun.lease.sessionId);
        await this.#under.store.abort(this.#viewer.tenantId, begun.lease);
      }
    }
  }

  async work(acts: readonly Act[]): Promise<void> {
    const { store } = this.#under;
    const { tenantId } = this.#viewer;
    const mine: { session: Session; lease: GivenLease }[] = [];
    for (const one of acts) {
      if (one.kind === "begin") {
        const begun = await this.#begin(one);
        if (begun.kind === "begun")
          mine.push({ session: begun.stored.session, lease: begun.lease });
      } else if (one.kind === "crash") {
        await this.#under.runOut(tenantId, at(this.#sessions, one.session) ?? "");
      } else if (one.kind !== "close") {
        const attempt = at(mine, one.attempt);
        if (!attempt) continue;
        if (one.kind === "abort") await store.abort(tenantId, attempt.lease);
        else if (one.kind === "renew") await store.renew(tenantId, attempt.lease, 60_000);
        else await this.#commit(attempt.session, attempt.lease);
      }
    }
  }

  async #begin(one: Act & { kind: "begin" }): Promise<Begun> {
    const sessionId = one.session === undefined ? undefined : at(this.#sessions, one.session);
    const asked = sessionId ? inSession(sessionId) : beginning();
    const turnId = newId();
    const begun = await this.#under.store.begin(this.#viewer, {
      ...asked,
      turnId,
      supersede: one.supersede,
      historyMax: 100,
      ...keyOf(one),
    });
    if (begun.kind === "begun") {
      const { session } = begun.stored;
      this.#sessions.push(session.id);
      const right = `${session.id} ${begun.lease.token}`;
      assert.equal(this.#rights.has(right), false, "two turns hold the same lease");
      this.#rights.add(right);
      // The history goes with the session as it was read, whoever committed a moment ago.
      const upTo = Array.from({ length: session.turnCount }, (_, i) => i + 1);
      assert.deepEqual(
        begun.history.map(({ number }) => number),
        upTo,
      );
      if (one.key !== undefined) this.#keyed.set(turnId, one.key);
    }
    return begun;
  }

  async #commit(session: Session, lease: GivenLease): Promise<void> {
    const result = await this.#under.store.commit(
      this.#viewer.tenantId,
      commitOf(this.#viewer, session, lease),
    );
    if (result.kind !== "committed") return;
    const { number } = result.turn;
    const before = this.#committed.get(lease.turnId);
    if (before) assert.equal(number, before.number);
    this.#committed.set(lease.turnId, { sessionId: session.id, number });
  }

  async settle(): Promise<void> {
    let turnsInAll = 0;
    for (const id of new Set(this.#sessions)) {
      const found = await this.#under.store.get(this.#viewer, id);
      const turns = (await this.#under.store.turns(this.#viewer, id, { rowsMax: 200 })) ?? [];
      const numbers = turns.map(({ number }) => number).toReversed();
      assert.deepEqual(
        numbers,
        numbers.map((_, i) => i + 1),
      );
      assert.equal(found?.session.turnCount, turns.length);
      assert.equal(found.session.version, BigInt(turns.length + 1));
      for (const { id: turnId } of turns) assert.equal(this.#committed.get(turnId)?.sessionId, id);
      turnsInAll += turns.length;
    }
    assert.equal(turnsInAll, this.#committed.size);
    assert.equal((await this.#under.told(this.#viewer.tenantId)).length, turnsInAll);
    const keys = [...this.#committed.keys()].flatMap((turnId) => this.#keyed.get(turnId) ?? []);
    assert.equal(new Set(keys).size, keys.length);
  }
}
