import { afterAll, beforeAll } from "vitest";
import { beginTurnContract } from "./begin-turn.contract.ts";
import { commitTurnContract } from "./commit-turn.contract.ts";
import { sessionChangeContract } from "./session-change.contract.ts";
import { sessionErasureContract } from "./session-erasure.contract.ts";
import { keptWholeContract } from "./kept-whole.contract.ts";
import type { StoreUnderTest } from "./testing/bench.ts";
import { toolCallContract } from "./tool-call.contract.ts";
import { turnKeyContract } from "./turn-key.contract.ts";
import { usageContract } from "./usage.contract.ts";

/** What every SessionStore must do. */
export function sessionStoreContract(open: () => Promise<StoreUnderTest>): void {
  let under: StoreUnderTest;
  beforeAll(async () => {
    under = await open();
  });
  afterAll(() => under[Symbol.asyncDispose]());

  beginTurnContract(() => under);
  turnKeyContract(() => under);
  commitTurnContract(() => under);
  sessionChangeContract(() => under);
  sessionErasureContract(() => under);
  keptWholeContract(() => under);
  toolCallContract(() => under);
  usageContract(() => under);
}
