import { newId } from "@soldier/kernel/ids";
import { SessionStatus } from "@soldier/proto/session/v1/session";
import { BeginTurnResult } from "@soldier/proto/session/v1/session_service";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { existing, faultOf, faultsOf, type SessionBench, sessionBench, user } from "./testing.ts";

describeOn("a turn", testDatabase(), (backend) => {
  let bench: SessionBench;
  beforeAll(async () => {
    bench = await sessionBench(backend);
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  const topicsOf = async (tenantId: string) =>
    (await bench.told(tenantId)).map(({ topic }) => topic);

  it("goes from its lease to its commit", async () => {
    const identity = user();
    const caller = bench.as(identity);
    const { sessionId, begun } = await bench.open(identity);
    expect(begun.result).toBe(BeginTurnResult.BEGUN);
    expect(begun.turnNumber).toBe(1);
    expect(begun.session).toMatchObject({ status: SessionStatus.ACTIVE, openedBy: "tester" });
    expect(Number(begun.lease?.remainingMs)).toBe(30_000);
    const running = await caller.getSession({ sessionId });
    expect(running.session?.status).toBe(SessionStatus.PROCESSING);
    const renewed = await caller.renewLease({ lease: begun.lease, leaseMs: 90_000n });
    const request = {
      lease: renewed.lease,
      expectedVersion: begun.session?.version ?? 0n,
      state: { lowConfidenceTurns: 1 },
      turn: { number: 1, userText: "hello", replyText: "hi", idempotencyKey: "k-1" },
      record: { durationMs: 12 },
    };
    const committed = await caller.commitTurn(request);
    expect(committed.version).toBe(2n);
    expect(committed.turn).toMatchObject({ sessionId, number: 1, replyText: "hi" });
    expect(committed.turn?.committedAt).toBeDefined();
    expect(await caller.commitTurn(request)).toEqual(committed);
    const after = await caller.getSession({ sessionId });
    expect(after.session).toMatchObject({
      status: SessionStatus.ACTIVE,
      turnCount: 1,
      version: 2n,
      state: { lowConfidenceTurns: 1 },
      metadata: { page: "/" },
    });
    expect((await caller.listTurns({ sessionId })).turns).toEqual([committed.turn]);
    expect(await topicsOf(identity.tenantId)).toEqual(["turn.committed"]);
  });

  it("leaves its trace with its event", async () => {
    const identity = user();
    const sessionId = await bench.idleSession(identity);
    await bench.say(identity, sessionId, "hello");
    const [event] = await bench.told(identity.tenantId);
    const traces = bench.mesh.spans().map((span) => span.spanContext().traceId);
    expect(traces).toContain(event?.traceparent?.split("-")[1]);
  });

  it("is busy while another one runs, and says when to look again", async () => {
    const identity = user();
    const { sessionId } = await bench.open(identity);
    const target = existing(sessionId);
    const busy = await bench.as(identity).beginTurn({ target, turnId: newId() });
    expect(busy.result).toBe(BeginTurnResult.BUSY);
    expect(busy.session?.status).toBe(SessionStatus.PROCESSING);
    expect(Number(busy.retryAfterMs)).toBeGreaterThan(0);
    expect(busy.lease).toBeUndefined();
  });

  it("is found again by its key, running and answered", async () => {
    const identity = user();
    const caller = bench.as(identity);
    const value = { agentId: "desk", customerId: "c-1" };
    const asked = (requestHash: Uint8Array) => ({
      target: { case: "newSession", value } as const,
      turnId: newId(),
      idempotencyKey: "once",
      requestHash,
    });
    const first = await caller.beginTurn(asked(Uint8Array.of(1)));
    const second = await caller.beginTurn(asked(Uint8Array.of(1)));
    expect(second.result).toBe(BeginTurnResult.IN_PROGRESS);
    expect(second.session?.id).toBe(first.session?.id);
    const { turn } = await caller.commitTurn({
      lease: first.lease,
      expectedVersion: 1n,
      state: {},
      turn: { number: 1, replyText: "done" },
    });
    const third = await caller.beginTurn(asked(Uint8Array.of(1)));
    expect(third.result).toBe(BeginTurnResult.ANSWERED);
    expect(third.answered).toEqual(turn);
    const other = await faultOf(caller.beginTurn(asked(Uint8Array.of(2))));
    expect(other).toMatchObject({ kind: "conflict", reason: "IDEMPOTENCY_KEY_REUSED" });
  });

  it("is refused when another has taken its lease, or changed its session", async () => {
    const identity = user();
    const caller = bench.as(identity);
    const { sessionId, begun } = await bench.open(identity);
    const commit = { lease: begun.lease, expectedVersion: 1n, state: {}, turn: { number: 1 } };
    const stale = await faultOf(caller.commitTurn({ ...commit, expectedVersion: 7n }));
    expect(stale).toMatchObject({ kind: "conflict", reason: "VERSION_CONFLICT" });
    const target = existing(sessionId);
    await caller.beginTurn({ target, turnId: newId(), supersede: true });
    const late = await faultsOf([
      caller.commitTurn(commit),
      caller.renewLease({ lease: begun.lease, leaseMs: 1_000n }),
    ]);
    for (const fault of late)
      expect(fault).toMatchObject({ kind: "conflict", reason: "LEASE_LOST" });
  });

  it("is refused for an unknown and for a closed session", async () => {
    const identity = user();
    const caller = bench.as(identity);
    const target = existing(newId());
    const unknown = await faultOf(caller.beginTurn({ target, turnId: newId() }));
    expect(unknown).toMatchObject({ kind: "not-found", reason: "SESSION_NOT_FOUND" });
    const sessionId = await bench.idleSession(identity);
    await caller.closeSession({ sessionId });
    const closed = existing(sessionId);
    const over = await faultOf(caller.beginTurn({ target: closed, turnId: newId() }));
    expect(over).toMatchObject({ kind: "precondition", reason: "SESSION_CLOSED" });
  });

  it("is refused with what is wrong with it, and can then be committed", async () => {
    const identity = user();
    const caller = bench.as(identity);
    const { begun } = await bench.open(identity);
    const commit = { lease: begun.lease, expectedVersion: 1n, state: {}, turn: { number: 1 } };
    const refused = async (over: object) =>
      await faultOf(caller.commitTurn({ ...commit, ...over }));
    const number = await refused({ turn: { number: 3 } });
    expect(number.fields[0]).toMatchObject({ field: "turn.number" });
    const id = await refused({ turn: { number: 1, id: newId() } });
    expect(id.fields[0]).toMatchObject({ field: "turn.id" });
    const status = await refused({ status: SessionStatus.IDLE });
    expect(status.fields[0]).toMatchObject({ field: "status" });
    const state = await refused({ state: { appliedRuleIds: ["x".repeat(300_000)] } });
    expect(state).toMatchObject({ kind: "invalid", reason: "STATE_TOO_LARGE" });
    expect((await caller.commitTurn(commit)).version).toBe(2n);
  });

  it("may hand the session to a person or end it", async () => {
    const identity = user();
    const caller = bench.as(identity);
    const handed = await bench.open(identity);
    const turn = { number: 1 };
    const commit = { expectedVersion: 1n, state: {}, turn };
    const { INTERRUPTED, CLOSED } = SessionStatus;
    await caller.commitTurn({ ...commit, lease: handed.begun.lease, status: INTERRUPTED });
    const found = await caller.getSession({ sessionId: handed.sessionId });
    expect(found.session?.status).toBe(INTERRUPTED);
    const ended = await bench.open(identity);
    await caller.commitTurn({ ...commit, lease: ended.begun.lease, status: CLOSED });
    expect(await topicsOf(identity.tenantId)).toEqual([
      "turn.committed",
      "turn.committed",
      "session.closed",
      "audit.event",
    ]);
  });
});
