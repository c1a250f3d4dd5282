import { fromJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { newId } from "@soldier/kernel/ids";
import { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import type { Lease } from "@soldier/proto/session/v1/session";
import { ToolCallPermit } from "@soldier/proto/session/v1/session_service";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { existing, faultOf, type SessionBench, sessionBench, user } from "./testing.ts";

const { RUN, DONE, UNKNOWN } = ToolCallPermit;
const argumentsHash = new Uint8Array(32).fill(7);
const toolId = newId();

function call(lease: Lease | undefined, n = 1) {
  return { lease, key: `${lease?.turnId}:${toolId}:${n}`, toolId, argumentsHash };
}

describeOn("the ledger of tool calls", testDatabase(), (backend) => {
  let bench: SessionBench;
  beforeAll(async () => {
    bench = await sessionBench(backend);
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  it("lets a call run and remembers what came of it for whoever takes the turn's place", async () => {
    const identity = user();
    const caller = bench.as(identity);
    const { sessionId, begun } = await bench.open(identity);
    const first = call(begun.lease);
    expect(await caller.beginToolCall(first)).toMatchObject({ permit: RUN, key: first.key });
    const result = fromJson(ValueSchema, { refund: { id: "R-1" } });
    const { lease, key } = first;
    const outcome = ToolCallOutcome.SUCCEEDED;
    await caller.endToolCall({ lease, key, outcome, result });

    const target = existing(sessionId);
    const next = await caller.beginTurn({ target, turnId: newId(), supersede: true });
    const again = await caller.beginToolCall(call(next.lease));
    expect(again).toMatchObject({ permit: DONE, key, outcome, result, reason: "" });
    const lost = await faultOf(caller.beginToolCall(call(begun.lease, 2)));
    expect(lost).toMatchObject({ kind: "conflict", reason: "LEASE_LOST" });
    const late = await faultOf(caller.endToolCall({ lease, key, outcome }));
    expect(late).toMatchObject({ kind: "conflict", reason: "LEASE_LOST" });
  });

  it("does not let a client's retry run again what ran before its turn was lost", async () => {
    const identity = user();
    const caller = bench.as(identity);
    const asked = {
      target: { case: "newSession", value: { agentId: "desk", customerId: "c-1" } } as const,
      idempotencyKey: "order-1",
      requestHash: Uint8Array.of(1),
    };
    const idempotencyKey = "order-1";
    const first = await caller.beginTurn({ ...asked, turnId: newId() });
    await caller.beginToolCall({ ...call(first.lease, 1), idempotencyKey });
    await caller.endToolCall({ ...call(first.lease, 1), outcome: ToolCallOutcome.SUCCEEDED });
    const hanging = { ...call(first.lease, 2), argumentsHash: new Uint8Array(32), idempotencyKey };
    await caller.beginToolCall(hanging);
    await caller.abortTurn({ lease: first.lease });

    const retry = await caller.beginTurn({ ...asked, turnId: newId() });
    expect(retry.lease?.turnId).not.toBe(first.lease?.turnId);
    const done = await caller.beginToolCall({ ...call(retry.lease, 1), idempotencyKey });
    expect(done).toMatchObject({ permit: DONE, key: call(first.lease, 1).key });
    const { key: _, ...same } = hanging;
    const unknown = { ...same, lease: retry.lease, key: call(retry.lease, 2).key };
    expect(await caller.beginToolCall(unknown)).toMatchObject({
      permit: UNKNOWN,
      key: hanging.key,
    });
  });

  it("refuses what makes no sense, by field", async () => {
    const identity = user();
    const caller = bench.as(identity);
    const { begun } = await bench.open(identity);
    const { lease } = begun;
    const foreign = await faultOf(caller.beginToolCall({ ...call(lease), key: "other:1" }));
    expect(foreign.fields[0]).toMatchObject({ field: "key" });
    const short = { ...call(lease), argumentsHash: Uint8Array.of(1) };
    expect((await faultOf(caller.beginToolCall(short))).fields[0]?.field).toBe("arguments_hash");
    await caller.beginToolCall(call(lease));
    const { key } = call(lease);
    const refused = await faultOf(
      caller.endToolCall({ lease, key, outcome: ToolCallOutcome.MISSING_ARGUMENTS }),
    );
    expect(refused.fields[0]).toMatchObject({ field: "outcome" });
    const other = { ...call(lease), argumentsHash: new Uint8Array(32) };
    expect(await faultOf(caller.beginToolCall(other))).toMatchObject({
      kind: "conflict",
      reason: "TOOL_CALL_KEY_REUSED",
    });
    const unknown = { lease, key: call(lease, 9).key, outcome: ToolCallOutcome.FAILED };
    expect(await faultOf(caller.endToolCall(unknown))).toMatchObject({
      kind: "not-found",
      reason: "TOOL_CALL_NOT_FOUND",
    });
  });

  it("and the day's usage are read only when asked for", async () => {
    const identity = user();
    const caller = bench.as(identity);
    const { sessionId, begun } = await bench.open(identity);
    const commit = { lease: begun.lease, expectedVersion: 1n, state: {}, turn: { number: 1 } };
    const negative = { ...commit, usage: { tokens: -1n } };
    expect((await faultOf(caller.commitTurn(negative))).fields[0]?.field).toBe("usage");
    const usage = { tokens: 120n, costMicros: 4_000n };
    await caller.commitTurn({ ...commit, usage });
    await caller.commitTurn({ ...commit, usage });
    const target = existing(sessionId);
    const turnId = newId();
    const unread = await caller.beginTurn({ target, turnId });
    expect(unread.usageToday).toBeUndefined();
    const read = await caller.beginTurn({ target, turnId, readUsage: true });
    expect(read.usageToday).toMatchObject(usage);
  });
});
