import { create } from "@bufbuild/protobuf";
import { Fault } from "@soldier/kernel/fault";
import { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import { ToolSchema } from "@soldier/proto/config/v1/tool";
import { describe, expect, it } from "vitest";
import type { ToolLedger, ToolPermit } from "./tool-ledger.ts";
import { calledOutside } from "./tool-outside.ts";
import type { ToolAnswer } from "./tool-transport.ts";

const request = {
  tenantId: "tenant-1",
  tool: create(ToolSchema, { id: "cancel", name: "cancel" }),
  arguments: {},
  key: "turn-1:cancel:1",
  timeoutMs: 1_000,
};
const run: ToolPermit = { kind: "run", key: request.key };
const answered: ToolAnswer = { kind: "answered", result: { ok: true } };

/** A turn that ends at the moment given, and what is sent and written down all the same. */
function turn(endsAt: "begin" | "call" | "never") {
  const over = new AbortController();
  const ended: ToolCallOutcome[] = [];
  let sent = 0;
  const end = () => over.abort(new Fault("cancelled", "over", { reason: "OVER" }));
  const { promise: answers, resolve: answer } = Promise.withResolvers<ToolAnswer>();
  const ledger: ToolLedger = {
    async begin() {
      if (endsAt === "begin") end();
      return run;
    },
    async end(_, { outcome }) {
      ended.push(outcome);
    },
  };
  const transport = {
    onlyReads: async () => false,
    async call() {
      sent += 1;
      if (endsAt === "call") end();
      else answer(answered);
      return answers;
    },
  };
  const called = calledOutside(request, transport, ledger, over.signal);
  return { called, answer, ended, sent: () => sent };
}

describe("a call with an effect", () => {
  it("is not sent by a turn that ended while it asked, and may be made by another", async () => {
    const { called, ended, sent } = turn("begin");
    expect(await called).toMatchObject({ outcome: ToolCallOutcome.FAILED, reason: "OVER" });
    expect(sent()).toBe(0);
    expect(ended).toEqual([ToolCallOutcome.FAILED]);
  });

  it("is not waited for by a turn that ends meanwhile, but written down when it has ended", async () => {
    const { called, answer, ended } = turn("call");
    expect(await called).toMatchObject({
      outcome: ToolCallOutcome.FAILED,
      reason: "TIMEOUT_OUTCOME_UNKNOWN",
    });
    expect(ended).toEqual([]);
    answer(answered);
    await expect.poll(() => ended).toEqual([ToolCallOutcome.SUCCEEDED]);
  });

  it("is sent once and written down", async () => {
    const { called, ended, sent } = turn("never");
    expect(await called).toMatchObject({ outcome: ToolCallOutcome.SUCCEEDED, attempts: 1 });
    expect([sent(), ended]).toEqual([1, [ToolCallOutcome.SUCCEEDED]]);
  });
});
