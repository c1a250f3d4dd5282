import assert from "node:assert/strict";
import { newId } from "@soldier/kernel/ids";
import { create } from "@bufbuild/protobuf";
import { type Session, SessionStateSchema, SessionStatus } from "@soldier/proto/session/v1/session";
import type { StoreUnderTest } from "./bench.ts";
import type { GivenLease, Viewer } from "../session-store.ts";
import { type Act, at, keyOf } from "./acts.ts";
import { beginning, commitOf, inSession } from "./fixtures.ts";
import { type ModelSession, SessionModel } from "./model.ts";

/** A turn that was begun, as its worker remembers it: perhaps long after it lost its lease. */
interface Attempt {
  readonly session: Session;
  readonly lease: GivenLease;
  readonly modelled: ModelSession;
}

/** One script, on the store and on the model. */
export class Run {
  readonly #model = new SessionModel();
  readonly #ids: string[] = [];
  readonly #turnIds: string[] = [];
  readonly #attempts: Attempt[] = [];
  #states = 0;
  readonly #under: StoreUnderTest;
  readonly #viewer: Viewer;

  constructor(under: StoreUnderTest, viewer: Viewer) {
    this.#under = under;
    this.#viewer = viewer;
  }

  async do(one: Act): Promise<void> {
    const { store } = this.#under;
    const { tenantId } = this.#viewer;
    if (one.kind === "begin") return this.#begin(one);
    if (one.kind === "crash" || one.kind === "close") {
      const modelled = at(this.#model.sessions, one.session);
      if (!modelled) return;
      const id = this.#ids[modelled.index] ?? "";
      if (one.kind === "crash") {
        this.#model.runOut(modelled);
        return this.#under.runOut(tenantId, id);
      }
      this.#model.close(modelled);
      await store.change(this.#viewer, id, (session) =>
        session.status === SessionStatus.CLOSED ? undefined : closedForm(session),
      );
      return;
    }
    const attempt = at(this.#attempts, one.attempt);
    if (!attempt) return;
    const { session, lease, modelled } = attempt;
    const token = Number(lease.token);
    if (one.kind === "abort") {
      this.#model.abort(modelled, lease.turnId, token);
      return store.abort(tenantId, lease);
    }
    if (one.kind === "renew") {
      const renewed = await store.renew(tenantId, lease, 60_000);
      assert.equal(renewed !== undefined, this.#model.renew(modelled, lease.turnId, token));
      return;
    }
    // Each commit brings another state, also when it is sent again: the first one's is kept.
    const lowConfidenceTurns = ++this.#states;
    const asked = { turn: lease.turnId, token, version: Number(session.version) };
    const wanted = this.#model.commit(modelled, { ...asked, state: lowConfidenceTurns });
    const state = create(SessionStateSchema, { lowConfidenceTurns });
    const result = await store.commit(tenantId, commitOf(this.#viewer, session, lease, { state }));
    assert.equal(result.kind, wanted.kind);
    if (wanted.kind !== "committed" || result.kind !== "committed") return;
    assert.equal(result.version, BigInt(wanted.version));
    assert.equal(result.turn.id, lease.turnId);
    assert.equal(result.turn.number, wanted.number);
  }

  async #begin(one: Act & { kind: "begin" }): Promise<void> {
    const turnId =
      (one.repeats === undefined ? undefined : at(this.#turnIds, one.repeats)) ?? newId();
    this.#turnIds.push(turnId);
    const target = one.session === undefined ? undefined : at(this.#model.sessions, one.session);
    const wanted = this.#model.begin({ ...one, session: target?.index, turn: turnId });
    const result = await this.#under.store.begin(this.#viewer, {
      ...(target ? inSession(this.#ids[target.index] ?? "") : beginning()),
      turnId,
      supersede: one.supersede,
      historyMax: 3,
      ...keyOf(one),
    });
    assert.equal(result.kind, wanted.kind);
    if (!("session" in wanted) || !("stored" in result)) return;
    const { session } = result.stored;
    this.#ids[wanted.session.index] ??= session.id;
    assert.equal(session.id, this.#ids[wanted.session.index]);
    assert.equal(session.version, BigInt(wanted.session.version));
    assert.equal(session.turnCount, wanted.session.turnCount);
    assert.equal(session.state?.lowConfidenceTurns, wanted.session.state);
    if (wanted.kind === "answered" && result.kind === "answered")
      assert.equal(result.turn.number, wanted.number);
    if (wanted.kind !== "begun" || result.kind !== "begun") return;
    assert.equal(result.lease.token, BigInt(wanted.token));
    assert.deepEqual(
      result.history.map(({ number }) => number),
      lastThree(session.turnCount),
    );
    this.#attempts.push({ session, lease: result.lease, modelled: wanted.session });
  }

  async settle(): Promise<void> {
    const { store } = this.#under;
    for (const modelled of this.#model.sessions) {
      const found = await store.get(this.#viewer, this.#ids[modelled.index] ?? "");
      assert.equal(found?.session.version, BigInt(modelled.version));
      assert.equal(found.session.state?.lowConfidenceTurns, modelled.state);
      assert.equal(found.leased, modelled.lease !== undefined && !modelled.lease.ranOut);
      const turns = await store.turns(this.#viewer, found.session.id, { rowsMax: 100 });
      assert.equal(turns?.length, modelled.turnCount);
    }
    assert.equal((await this.#under.told(this.#viewer.tenantId)).length, this.#model.turns.size);
  }
}

function lastThree(turnCount: number): readonly number[] {
  return [turnCount - 2, turnCount - 1, turnCount].filter((number) => number > 0);
}

function closedForm(session: Session) {
  const status = SessionStatus.CLOSED;
  const version = session.version + 1n;
  return { session: { ...session, status, version }, endsTurn: true, events: [] };
}
