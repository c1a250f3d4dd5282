import { createHash } from "node:crypto";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { newId } from "@soldier/kernel/ids";
import { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import { beforeAll, describe, expect, it } from "vitest";
import type { HeldLease, SessionStore, ToolCallBeginning, Viewer } from "./session-store.ts";
import { began, opened, type StoreUnderTest } from "./testing/bench.ts";
import { beginning, commitOf, inSession, someone } from "./testing/fixtures.ts";

const { SUCCEEDED, FAILED, INVALID_RESULT } = ToolCallOutcome;
const requestHash = Uint8Array.of(1);

/** What the ledger of tool calls must do. */
export function toolCallContract(given: () => StoreUnderTest): void {
  let under: StoreUnderTest;
  let store: SessionStore;
  beforeAll(() => {
    under = given();
    store = under.store;
  });

  const ended = (
    viewer: Viewer,
    lease: HeldLease,
    key: string,
    outcome: ToolCallOutcome = SUCCEEDED,
    result: JsonValue = { refund: "R-1" },
  ) =>
    store.endToolCall(viewer.tenantId, {
      lease,
      key,
      outcome,
      result: fromJson(ValueSchema, result),
      reason: outcome === SUCCEEDED ? "" : "HTTP_400",
    });

  /** A turn that takes the place of whichever runs. */
  const superseding = async (viewer: Viewer, sessionId: string, keyed: object = {}) =>
    began(await store.begin(viewer, inSession(sessionId, { supersede: true, ...keyed })));

  describe("a tool call", () => {
    it("may run when nothing is known of it, also when the question is repeated", async () => {
      const viewer = someone();
      const { lease } = await opened(store, viewer);
      const call = callOf(lease);
      expect(await store.beginToolCall(viewer, call)).toEqual({ kind: "run", key: call.key });
      expect(await store.beginToolCall(viewer, call)).toEqual({ kind: "run", key: call.key });
    });

    it("gives what came of it when it is asked for again, whatever that was", async () => {
      const viewer = someone();
      const { lease } = await opened(store, viewer);
      const call = callOf(lease);
      await store.beginToolCall(viewer, call);
      expect(await ended(viewer, lease, call.key, FAILED)).toBe("ended");
      const again = await store.beginToolCall(viewer, call);
      expect(again).toMatchObject({ kind: "done", outcome: FAILED, reason: "HTTP_400" });
    });

    it("ends once: a second end changes nothing", async () => {
      const viewer = someone();
      const { lease } = await opened(store, viewer);
      const call = callOf(lease);
      await store.beginToolCall(viewer, call);
      await ended(viewer, lease, call.key);
      expect(await ended(viewer, lease, call.key, FAILED)).toBe("ended");
      expect(await store.beginToolCall(viewer, call)).toMatchObject({ outcome: SUCCEEDED });
      expect(await ended(viewer, lease, "never begun")).toBe("absent");
    });

    it.each([
      [
        "crashed",
        (viewer: Viewer, lease: HeldLease) => under.runOut(viewer.tenantId, lease.sessionId),
      ],
      ["was aborted", (viewer: Viewer, lease: HeldLease) => store.abort(viewer.tenantId, lease)],
      ["was superseded", async () => {}],
    ])("of a turn that %s is done for the next one, with its result", async (_, lose) => {
      const viewer = someone();
      const { lease } = await opened(store, viewer);
      const call = callOf(lease);
      await store.beginToolCall(viewer, call);
      await ended(viewer, lease, call.key);
      await lose(viewer, lease);
      const next = await superseding(viewer, lease.sessionId);
      const { result, ...known } = await done(store, viewer, callOf(next.lease));
      expect(known).toEqual({ kind: "done", key: call.key, outcome: SUCCEEDED, reason: "" });
      expect(result).toEqual(fromJson(ValueSchema, { refund: "R-1" }));
    });

    it("that nobody saw end is unknown to the next turn, under the first key", async () => {
      const viewer = someone();
      const { lease } = await opened(store, viewer);
      const call = callOf(lease);
      await store.beginToolCall(viewer, call);
      const next = await superseding(viewer, lease.sessionId);
      const unknown = { kind: "unknown", key: call.key };
      expect(await store.beginToolCall(viewer, callOf(next.lease))).toEqual(unknown);
      expect(await store.beginToolCall(viewer, callOf(next.lease))).toEqual(unknown);
    });

    it("whose answer was no good has been run; one that failed may run again", async () => {
      const viewer = someone();
      const { lease } = await opened(store, viewer);
      const [bad, failed] = [callOf(lease, "a"), callOf(lease, "b")];
      await store.beginToolCall(viewer, bad);
      await store.beginToolCall(viewer, failed);
      await ended(viewer, lease, bad.key, INVALID_RESULT);
      await ended(viewer, lease, failed.key, FAILED);
      const next = await superseding(viewer, lease.sessionId);
      expect(await store.beginToolCall(viewer, callOf(next.lease, "a"))).toMatchObject({
        kind: "done",
        outcome: INVALID_RESULT,
      });
      const again = callOf(next.lease, "b");
      expect(await store.beginToolCall(viewer, again)).toEqual({ kind: "run", key: again.key });
    });

    it("with other arguments or of another tool is another call", async () => {
      const viewer = someone();
      const { lease } = await opened(store, viewer);
      await store.beginToolCall(viewer, callOf(lease));
      const others = [callOf(lease, "other"), callOf(lease, "x", { toolId: newId() })];
      for (const other of others)
        expect((await store.beginToolCall(viewer, other)).kind).toBe("run");
      const reused = callOf(lease, "x", { key: others[0]?.key ?? "" });
      expect(await store.beginToolCall(viewer, reused)).toEqual({ kind: "key-reused" });
    });

    it("of a committed turn does not stand in a later one's way", async () => {
      const viewer = someone();
      const { stored, lease } = await opened(store, viewer);
      const call = callOf(lease);
      await store.beginToolCall(viewer, call);
      await ended(viewer, lease, call.key);
      await store.commit(viewer.tenantId, commitOf(viewer, stored.session, lease));
      const next = began(await store.begin(viewer, inSession(lease.sessionId)));
      expect((await store.beginToolCall(viewer, callOf(next.lease))).kind).toBe("run");
      // Nor is it known any more.
      expect(await ended(viewer, next.lease, call.key)).toBe("absent");
    });

    it("is found by a retry with the same client's key, whatever was committed in between", async () => {
      const viewer = someone();
      const keyed = { key: { text: "message-1", requestHash } };
      const first = await opened(store, viewer, keyed);
      const clientKey = "message-1";
      const call = callOf(first.lease, "x", { clientKey });
      await store.beginToolCall(viewer, call);
      await ended(viewer, first.lease, call.key);

      const other = await superseding(viewer, first.lease.sessionId);
      const seen = await store.beginToolCall(viewer, callOf(other.lease));
      expect(seen).toMatchObject({ kind: "done", key: call.key });
      await store.commit(viewer.tenantId, commitOf(viewer, other.stored.session, other.lease));

      const third = began(await store.begin(viewer, inSession(first.lease.sessionId)));
      expect((await store.beginToolCall(viewer, callOf(third.lease))).kind).toBe("run");
      await store.abort(viewer.tenantId, third.lease);

      const retry = began(await store.begin(viewer, beginning(keyed)));
      const found = await store.beginToolCall(viewer, callOf(retry.lease, "x", { clientKey }));
      expect(found).toMatchObject({ kind: "done", key: call.key });
      const { turn, ...commit } = commitOf(viewer, retry.stored.session, retry.lease);
      const committed = { ...commit, turn: { ...turn, idempotencyKey: clientKey } };
      await store.commit(viewer.tenantId, committed);
      const last = began(await store.begin(viewer, inSession(first.lease.sessionId)));
      expect(await ended(viewer, last.lease, call.key)).toBe("absent");
    });

    it("may run once when it is asked for many times at once", async () => {
      const viewer = someone();
      const { lease } = await opened(store, viewer);
      const all = await Promise.all(
        Array.from({ length: 12 }, () => store.beginToolCall(viewer, callOf(lease))),
      );
      expect(all.filter(({ kind }) => kind === "run")).toHaveLength(1);
      expect(all.filter(({ kind }) => kind === "unknown")).toHaveLength(11);
    });

    it("is refused to a turn that has lost its session, which may still say how its own ended", async () => {
      const viewer = someone();
      const { lease } = await opened(store, viewer);
      const call = callOf(lease);
      await store.beginToolCall(viewer, call);
      const next = await superseding(viewer, lease.sessionId);
      const late = await store.beginToolCall(viewer, callOf(lease, "other"));
      expect(late).toEqual({ kind: "lease-lost" });
      expect(await ended(viewer, lease, call.key)).toBe("lease-lost");
      expect((await store.beginToolCall(viewer, callOf(next.lease))).kind).toBe("done");

      const other = callOf(next.lease, "other");
      await store.beginToolCall(viewer, other);
      expect(await ended(viewer, lease, other.key)).toBe("lease-lost"); // not its own
      const last = await superseding(viewer, lease.sessionId);
      const known = await store.beginToolCall(viewer, callOf(last.lease, "other"));
      expect(known.kind).toBe("unknown");
    });

    it("of one tenant is nothing to another", async () => {
      const viewer = someone();
      const { lease } = await opened(store, viewer);
      const call = callOf(lease);
      await store.beginToolCall(viewer, call);
      const stranger = someone();
      expect(await store.beginToolCall(stranger, call)).toEqual({ kind: "lease-lost" });
      expect(await ended(stranger, lease, call.key)).toBe("lease-lost");
      expect((await store.beginToolCall(viewer, call)).kind).toBe("run"); // it has not ended
    });
  });
}

let keys = 0;

/** A call of one tool, under a key of its own. */
export function callOf(
  { sessionId, turnId, token }: HeldLease,
  args = "x",
  over: Partial<ToolCallBeginning> = {},
): ToolCallBeginning {
  return {
    lease: { sessionId, turnId, token },
    key: `${turnId}:refund:${++keys}`,
    toolId: "refund",
    argumentsHash: new Uint8Array(createHash("sha256").update(args).digest()),
    clientKey: undefined,
    ...over,
  };
}

async function done(store: SessionStore, viewer: Viewer, call: ToolCallBeginning) {
  const begun = await store.beginToolCall(viewer, call);
  if (begun.kind !== "done") throw new Error(`not done but ${begun.kind}`);
  return begun;
}
