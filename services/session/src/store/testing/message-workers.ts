import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fromJson, toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { newId } from "@soldier/kernel/ids";
import { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import fc from "fast-check";
import type { HeldLease, ToolCallBegun, Viewer } from "../session-store.ts";
import type { StoreUnderTest } from "./bench.ts";
import { beginning, commitOf, inSession } from "./fixtures.ts";

/** One attempt of a worker at one message: its calls, and how it ends. */
export interface Attempt {
  readonly message: number;
  readonly supersede: boolean;
  readonly calls: readonly {
    readonly args: number;
    /** Where the worker dies, if it does; a call that was sent may still end when the turn is lost. */
    readonly crash: "before" | "after" | undefined;
    readonly fails: boolean;
  }[];
  readonly ending: "commit" | "abort" | "crash";
}

const messagesMax = 4;
const seldom = (freq: number) =>
  fc.oneof({ weight: freq, arbitrary: fc.constant(false) }, fc.constant(true));

export const attempt: fc.Arbitrary<Attempt> = fc.record({
  message: fc.nat({ max: messagesMax - 1 }),
  supersede: seldom(1),
  calls: fc.array(
    fc.record({
      args: fc.nat({ max: 1 }),
      crash: fc.option(fc.constantFrom("before" as const, "after" as const), {
        nil: undefined,
        freq: 4,
      }),
      fails: seldom(3),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  ending: fc.constantFrom("commit", "commit", "abort", "crash"),
});

interface Execution {
  readonly message: string;
  /** The number that its turn would have had. */
  readonly number: number;
  readonly args: number;
  readonly result: string;
  failed: boolean;
}

/** Workers that answer the messages of one session, with a tool that counts how often it ran. */
export class MessageWorkers {
  readonly #executions: Execution[] = [];
  readonly #under: StoreUnderTest;
  readonly #viewer: Viewer;
  #sessionId = "";

  constructor(under: StoreUnderTest, viewer: Viewer) {
    this.#under = under;
    this.#viewer = viewer;
  }

  async open(): Promise<void> {
    const begun = await this.#under.store.begin(this.#viewer, beginning());
    assert(begun.kind === "begun");
    this.#sessionId = begun.lease.sessionId;
    await this.#under.store.abort(this.#viewer.tenantId, begun.lease);
  }

  /** The last message of all has no client's key: each attempt at it is a message of its own. */
  async work({ message, supersede, calls, ending }: Attempt): Promise<void> {
    const { store } = this.#under;
    const { tenantId } = this.#viewer;
    const clientKey = message === messagesMax - 1 ? undefined : `message-${message}`;
    const begun = await store.begin(
      this.#viewer,
      inSession(this.#sessionId, {
        supersede,
        ...(clientKey && { key: { text: clientKey, requestHash: Uint8Array.of(1) } }),
      }),
    );
    if (begun.kind !== "begun") return;
    const { lease, stored } = begun;
    const logical = clientKey ?? newId();
    const number = stored.session.turnCount + 1;
    for (const [n, { args, crash, fails }] of calls.entries()) {
      const key = `${lease.turnId}:tool:${n}`;
      const permit = await store.beginToolCall(this.#viewer, {
        lease,
        key,
        toolId: "tool",
        argumentsHash: new Uint8Array(createHash("sha256").update(String(args)).digest()),
        clientKey,
      });
      if (permit.kind === "lease-lost") return;
      this.#check(permit, { message: logical, number, args });
      if (permit.kind !== "run") continue;
      if (crash === "before") return this.#dies();
      const execution = { message: logical, number, args, result: newId(), failed: false };
      this.#executions.push(execution);
      if (crash === "after") return this.#dies();
      if ((await this.#ends(lease, key, execution, fails)) === "lease-lost") return;
    }
    if (ending === "crash") return this.#dies();
    if (ending === "abort") return store.abort(tenantId, lease);
    const { turn, ...commit } = commitOf(this.#viewer, stored.session, lease);
    await store.commit(tenantId, {
      ...commit,
      turn: { ...turn, idempotencyKey: clientKey ?? "" },
    });
  }

  async #ends(lease: HeldLease, key: string, execution: Execution, fails: boolean) {
    const outcome = fails ? ToolCallOutcome.FAILED : ToolCallOutcome.SUCCEEDED;
    // What has failed is known to the tool before anybody hears of it.
    execution.failed = fails;
    const result = fromJson(ValueSchema, execution.result);
    const end = { lease, key, outcome, result, reason: "" };
    return this.#under.store.endToolCall(this.#viewer.tenantId, end);
  }

  #dies(): Promise<void> {
    return this.#under.runOut(this.#viewer.tenantId, this.#sessionId);
  }

  /** What stands in the way is of the same message, or of the same place in the conversation. */
  #check(permit: ToolCallBegun, asked: Omit<Execution, "result" | "failed">): void {
    if (permit.kind !== "done" || permit.outcome !== ToolCallOutcome.SUCCEEDED) return;
    const result = permit.result && toJson(ValueSchema, permit.result);
    const source = this.#executions.find((one) => one.result === result);
    assert(source, "a result that no tool gave");
    assert.equal(source.args, asked.args);
    assert(source.message === asked.message || source.number === asked.number);
  }

  async settle(): Promise<void> {
    const lasting = this.#executions.filter(({ failed }) => !failed);
    for (const same of ["message", "number"] as const) {
      const done = lasting.map((one) => `${one[same]} ${one.args}`);
      assert.deepEqual(done, [...new Set(done)], `run twice for one ${same}`);
    }
    // A new message asks again: what was committed, or lost before a commit, is nothing to it.
    await this.#dies();
    await this.work({ message: messagesMax - 1, supersede: true, calls: [], ending: "commit" });
    const before = this.#executions.length;
    const calls = [0, 1].map((args) => ({ args, crash: undefined, fails: false }));
    await this.work({ message: messagesMax - 1, supersede: true, calls, ending: "commit" });
    assert.equal(this.#executions.length, before + 2);
  }
}
