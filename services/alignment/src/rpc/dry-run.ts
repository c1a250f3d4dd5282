import type { HandlerContext } from "@connectrpc/connect";
import { tenantOf } from "@soldier/chassis/identity";
import { currentTraceId } from "@soldier/chassis/tracing";
import { Fault } from "@soldier/kernel/fault";
import type { DryRunRequest } from "@soldier/proto/alignment/v1/alignment_service";
import { Channel } from "@soldier/proto/common/v1/resource";
import { observed } from "../pipeline/observed.ts";
import { rehearsal, type Rehearsed } from "../pipeline/rehearsal.ts";
import { TurnRecorder } from "../pipeline/turn-recorder.ts";
import type { Outlet } from "../pipeline/turn.ts";
import type { TurnParts } from "./process-turn.ts";

const nowhere: Outlet = { started: () => {}, delta: () => {}, completed: () => {} };

/** How a turn would go on the published version. A customer is looked up by id, and never made. */
export async function dryRun(
  { means }: TurnParts,
  req: DryRunRequest,
  ctx: HandlerContext,
): Promise<Rehearsed> {
  if (req.behaviour.case === "draft" || req.behaviour.case === "document" || versionOf(req) !== 0n)
    throw new Fault("invalid", "a dry run takes the published version only: publish first", {
      reason: "DRY_RUN_UNSUPPORTED",
      fields: [{ field: "behaviour", description: "leave it unset, or give version 0" }],
    });
  const tenantId = tenantOf(ctx);
  const bundle = await means.bundles.current(tenantId, req.agentId);
  const recorder = new TurnRecorder(means.clock);
  let end: Rehearsed | undefined;
  const pipeline = rehearsal(
    means,
    { bundle, state: req.state, history: req.history },
    (rehearsed) => {
      end = rehearsed;
    },
  );
  const incoming = {
    tenantId,
    agent: req.agentId,
    sessionId: "",
    customerId: req.customer?.customerId ?? "",
    externalId: req.customer?.externalId ?? "",
    channel: Channel.API,
    text: req.text,
    opening: false,
    idempotencyKey: "",
    metadata: {},
    traceId: currentTraceId() ?? "",
  };
  await pipeline.run({ incoming, outlet: nowhere, recorder }, ctx.signal, observed(recorder));
  if (!end) throw new Error("a rehearsal ended without its end");
  return end;
}

function versionOf({ behaviour }: DryRunRequest): bigint {
  return behaviour.case === "version" ? behaviour.value : 0n;
}
