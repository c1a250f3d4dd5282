import type { Client } from "@connectrpc/connect";
import type { Identity } from "@soldier/chassis/identity";
import { runForTest, testIdentity, type TestMesh } from "@soldier/chassis/testing";
import { testEvents } from "@soldier/events/testing";
import { type Clock, systemClock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { TurnOutcome } from "@soldier/proto/session/v1/session";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import type { Backend, TestDatabase } from "@soldier/storage/testing";
import postgres from "postgres";
import { session } from "../service.ts";

/** The service in a mesh of its own, with what its suites do with it. */
export interface SessionBench extends AsyncDisposable {
  readonly mesh: TestMesh;
  as(identity: Identity): Client<typeof SessionService>;
  /** Begins the first turn of a new session. */
  open(identity: Identity): ReturnType<typeof open>;
  /** A new session in which no turn runs. */
  idleSession(identity: Identity): Promise<string>;
  /** One turn, from begin to commit. */
  say(identity: Identity, sessionId: string, text: string): Promise<void>;
  /** What the service has told of the tenant, oldest first. */
  told(tenantId: string): Promise<readonly Told[]>;
}

export interface Told {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly traceparent: string | null;
}

export async function sessionBench(
  backend: Backend<TestDatabase>,
  clock: Clock = systemClock,
): Promise<SessionBench> {
  await using opened = new AsyncDisposableStack();
  const database = opened.use(await backend.open());
  const sql = postgres(database.url, { max: 1, connection: { search_path: "session" } });
  opened.defer(() => sql.end());
  const settings = { postgres: { ...database.settings }, events: { ...testEvents() } };
  const mesh = opened.use(await runForTest([session], { settings, clock }));
  const as = (identity: Identity) => mesh.as(identity)(SessionService);
  const closing = opened.move();
  return {
    mesh,
    as,
    open: (identity) => open(as(identity)),
    async idleSession(identity) {
      const { sessionId, begun } = await open(as(identity));
      await as(identity).abortTurn({ lease: begun.lease });
      return sessionId;
    },
    say: (identity, sessionId, text) => say(as(identity), sessionId, text),
    told: (tenantId) => sql<Told[]>`
      select topic, payload, traceparent from outbox where tenant_id = ${tenantId} order by seq`,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** Somebody who converses, in a tenant of their own. */
export function user(over: Partial<Identity> = {}): Identity {
  return testIdentity({ roles: ["chat"], ...over });
}

export function existing(sessionId: string) {
  return { case: "sessionId", value: sessionId } as const;
}

export function faultsOf(calls: readonly Promise<unknown>[]): Promise<readonly Fault[]> {
  return Promise.all(calls.map(faultOf));
}

export async function faultOf(call: Promise<unknown>): Promise<Fault> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("the call succeeded");
}

async function open(caller: Client<typeof SessionService>) {
  const value = { agentId: "desk", customerId: "c-1", metadata: { page: "/" } };
  const target = { case: "newSession", value } as const;
  const begun = await caller.beginTurn({ target, turnId: newId() });
  return { sessionId: begun.session?.id ?? "", begun };
}

async function say(caller: Client<typeof SessionService>, sessionId: string, text: string) {
  const begun = await caller.beginTurn({ target: existing(sessionId), turnId: newId() });
  await caller.commitTurn({
    lease: begun.lease,
    expectedVersion: begun.session?.version ?? 0n,
    state: {},
    turn: { number: begun.turnNumber, userText: text, outcome: TurnOutcome.COMPLETED },
  });
}
