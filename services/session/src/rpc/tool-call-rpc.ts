import type { ServiceImpl } from "@connectrpc/connect";
import { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import { type SessionService, ToolCallPermit } from "@soldier/proto/session/v1/session_service";
import * as refusals from "./refusals.ts";
import { type SessionParts, viewerOf } from "./session-parts.ts";
import { held } from "./turn-rpc.ts";

/** The ledger of tool calls that have an effect. */
export function toolCallRpc({
  store,
}: SessionParts): Pick<ServiceImpl<typeof SessionService>, "beginToolCall" | "endToolCall"> {
  return {
    async beginToolCall(req, ctx) {
      const lease = held(req.lease);
      if (!req.key.startsWith(`${lease.turnId}:`))
        throw refusals.fieldInvalid("key", "does not begin with the turn that holds the lease");
      const begun = await store.beginToolCall(viewerOf(ctx), {
        lease,
        key: req.key,
        toolId: req.toolId,
        argumentsHash: req.argumentsHash,
        clientKey: req.idempotencyKey || undefined,
      });
      switch (begun.kind) {
        case "run":
          return { permit: ToolCallPermit.RUN, key: begun.key };
        case "unknown":
          return { permit: ToolCallPermit.UNKNOWN, key: begun.key };
        case "done": {
          const { key, outcome, result, reason } = begun;
          return {
            permit: ToolCallPermit.DONE,
            key,
            outcome,
            reason,
            ...(result && { result }),
          };
        }
        case "lease-lost":
          throw refusals.leaseLost();
        case "key-reused":
          throw refusals.toolCallKeyReused();
      }
    },

    async endToolCall({ lease, key, outcome, result, reason }, ctx) {
      if (!ends.includes(outcome))
        throw refusals.fieldInvalid("outcome", "a call ends SUCCEEDED, FAILED or INVALID_RESULT");
      const { tenantId } = viewerOf(ctx);
      const end = { lease: held(lease), key, outcome, result, reason };
      switch (await store.endToolCall(tenantId, end)) {
        case "ended":
          return {};
        case "lease-lost":
          throw refusals.leaseLost();
        case "absent":
          throw refusals.toolCallNotFound(key);
      }
    },
  };
}

const ends: readonly ToolCallOutcome[] = [
  ToolCallOutcome.SUCCEEDED,
  ToolCallOutcome.FAILED,
  ToolCallOutcome.INVALID_RESULT,
];
