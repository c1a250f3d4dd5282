/**
 * Sessions as they should behave, in a few maps and one thing at a time: what the property test
 * holds the real store against. Ids are small numbers; time is whether a lease has run out.
 */
export interface ModelSession {
  readonly index: number;
  version: number;
  turnCount: number;
  closed: boolean;
  /** That the last commit has written. */
  state: number;
  token: number;
  lease: { readonly turn: string; ranOut: boolean } | undefined;
}

interface ModelTurn {
  readonly session: ModelSession;
  readonly number: number;
  readonly version: number;
}

interface ModelKey {
  readonly session: ModelSession;
  readonly hash: number;
  turn: string;
}

export interface ModelBegin {
  /** The session's index, or undefined to open one. */
  readonly session: number | undefined;
  readonly turn: string;
  readonly key: number | undefined;
  readonly hash: number;
  readonly supersede: boolean;
}

export type ModelBegun =
  | { readonly kind: "begun"; readonly session: ModelSession; readonly token: number }
  | { readonly kind: "answered"; readonly session: ModelSession; readonly number: number }
  | { readonly kind: "in-progress" | "busy"; readonly session: ModelSession }
  | { readonly kind: "absent" | "closed" | "key-reused" | "turn-id-reused" };

export interface ModelCommit {
  readonly turn: string;
  readonly token: number;
  readonly version: number;
  readonly state: number;
}

export type ModelCommitted =
  | { readonly kind: "committed"; readonly version: number; readonly number: number }
  | { readonly kind: "lease-lost" | "version-conflict" | "turn-id-reused" };

export class SessionModel {
  readonly sessions: ModelSession[] = [];
  readonly turns = new Map<string, ModelTurn>();
  readonly #keys = new Map<number, ModelKey>();
  readonly #openedBy = new Map<string, ModelSession>();

  begin(asked: ModelBegin): ModelBegun {
    const key = asked.key === undefined ? undefined : this.#keys.get(asked.key);
    const session = this.#target(asked, key);
    if (!session) return { kind: "absent" };
    if (key && (key.hash !== asked.hash || key.session !== session)) return { kind: "key-reused" };
    const repeated = this.turns.get(asked.turn);
    if (repeated && repeated.session !== session) return { kind: "turn-id-reused" };
    const answer = (key && this.turns.get(key.turn)) ?? repeated;
    if (answer) return { kind: "answered", session, number: answer.number };
    if (session.closed) return { kind: "closed" };
    const running = session.lease && !session.lease.ranOut ? session.lease.turn : undefined;
    if (running !== undefined && running !== asked.turn) {
      if (running === key?.turn) return { kind: "in-progress", session };
      if (!asked.supersede) return { kind: "busy", session };
    }
    if (session.lease?.turn !== asked.turn) session.token += 1;
    session.lease = { turn: asked.turn, ranOut: false };
    if (key) key.turn = asked.turn;
    else if (asked.key !== undefined)
      this.#keys.set(asked.key, { session, hash: asked.hash, turn: asked.turn });
    return { kind: "begun", session, token: session.token };
  }

  commit(session: ModelSession, { turn, token, version, state }: ModelCommit): ModelCommitted {
    const done = this.turns.get(turn);
    if (done && done.session !== session) return { kind: "turn-id-reused" };
    if (done) return { kind: "committed", version: done.version, number: done.number };
    if (session.lease?.turn !== turn || session.token !== token) return { kind: "lease-lost" };
    if (session.version !== version) return { kind: "version-conflict" };
    session.version += 1;
    session.turnCount += 1;
    session.state = state;
    session.lease = undefined;
    const number = session.turnCount;
    this.turns.set(turn, { session, number, version: session.version });
    return { kind: "committed", version: session.version, number };
  }

  renew(session: ModelSession, turn: string, token: number): boolean {
    if (session.lease?.turn !== turn || session.token !== token) return false;
    session.lease.ranOut = false;
    return true;
  }

  abort(session: ModelSession, turn: string, token: number): void {
    if (session.lease?.turn === turn && session.token === token) session.lease = undefined;
  }

  runOut(session: ModelSession): void {
    if (session.lease) session.lease.ranOut = true;
  }

  close(session: ModelSession): void {
    if (session.closed) return;
    session.closed = true;
    session.version += 1;
    session.lease = undefined;
  }

  #target(asked: ModelBegin, key: ModelKey | undefined): ModelSession | undefined {
    if (asked.session !== undefined) return this.sessions[asked.session];
    const known =
      key?.session ?? this.#openedBy.get(asked.turn) ?? this.turns.get(asked.turn)?.session;
    if (known) return known;
    const index = this.sessions.length;
    const session = {
      index,
      version: 1,
      turnCount: 0,
      closed: false,
      state: 0,
      token: 0,
      lease: undefined,
    };
    this.sessions.push(session);
    this.#openedBy.set(asked.turn, session);
    return session;
  }
}
