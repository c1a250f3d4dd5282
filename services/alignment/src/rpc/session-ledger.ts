import type { Client } from "@connectrpc/connect";
import { detached } from "@soldier/chassis/current";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import { type SessionService, ToolCallPermit } from "@soldier/proto/session/v1/session_service";
import { argumentsHash } from "../domain/arguments-hash.ts";
import { jsonOf, valueOf } from "../domain/json.ts";
import type { SessionClaim } from "../pipeline/session-claim.ts";
import type { ToolLedger } from "../pipeline/tool-ledger.ts";

export interface SessionLedgerOptions {
  readonly session: Client<typeof SessionService>;
  readonly claim: SessionClaim;
  /** The client's, empty when it has none. */
  readonly idempotencyKey: string;
  readonly log: Log;
}

/** The ledger that the session service keeps, under the lease of one turn. */
export function sessionLedger(options: SessionLedgerOptions): ToolLedger {
  const { session, claim, idempotencyKey, log } = options;
  return {
    async begin({ key, toolId, arguments: values }) {
      const { lease } = claim;
      const hash = argumentsHash(values);
      const call = { lease, key, toolId, argumentsHash: hash, idempotencyKey };
      const { permit, key: first, ...known } = await session.beginToolCall(call);
      if (permit === ToolCallPermit.RUN) return { kind: "run", key: first };
      if (permit === ToolCallPermit.DONE) {
        const { outcome, result, reason } = known;
        return { kind: "done", key: first, outcome, result: jsonOf(result), reason };
      }
      return { kind: "unknown", key: first };
    },

    async end(key, { outcome, result, reason }) {
      const { lease } = claim;
      const value = result === undefined ? {} : { result: valueOf(result) };
      try {
        const end = { lease, key, outcome, reason: reason.slice(0, reasonMax), ...value };
        await detached(() => session.endToolCall(end));
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        // A turn that has lost its session is told so, and its word is written down all the same.
        if (error.reason === "LEASE_LOST") return;
        log.warn({ reason: error.reason }, "how a tool call ended could not be written down");
      }
    },
  };
}

const reasonMax = 1_000;

/** For a turn that has no effect anywhere. */
export const noLedger: ToolLedger = {
  begin: async ({ key }) => ({ kind: "run", key }),
  end: async () => {},
};
