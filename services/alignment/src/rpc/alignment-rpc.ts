import type { Client, HandlerContext } from "@connectrpc/connect";
import { tenantOf } from "@soldier/chassis/identity";
import { type Route, route } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import { AlignmentService } from "@soldier/proto/alignment/v1/alignment_service";
import type { AuditService } from "@soldier/proto/audit/v1/audit_service";
import type { TurnRecord } from "@soldier/proto/audit/v1/turn_record";
import { beliefsOf } from "./beliefs.ts";
import { dryRun } from "./dry-run.ts";
import { explain, whyNotRule } from "./explain.ts";
import { processTurn, type TurnParts } from "./process-turn.ts";

/** The handlers: a turn, why it went as it did, and how one would go. */
export function alignmentRpc(parts: TurnParts, audit: Client<typeof AuditService>): Route {
  async function recordOf(turnId: string): Promise<TurnRecord> {
    const { record } = await audit.getTurnRecord({ turnId });
    if (!record)
      throw new Fault("not-found", `there is no record of turn ${turnId}`, {
        reason: "TURN_NOT_FOUND",
      });
    return record;
  }
  return route(AlignmentService, {
    processTurn: (req, ctx: HandlerContext) => processTurn(parts, req, ctx),
    async explain({ turnId }) {
      const record = await recordOf(turnId);
      const [told, beliefs] = await Promise.all([
        explain(parts, record),
        beliefsOf(record, parts.means),
      ]);
      return { record: told, ...(beliefs && { beliefs }) };
    },
    async whyNot({ turnId, ruleId }, ctx) {
      return whyNotRule(parts, await recordOf(turnId), ruleId, tenantOf(ctx));
    },
    dryRun: (req, ctx) => dryRun(parts, req, ctx),
  });
}
