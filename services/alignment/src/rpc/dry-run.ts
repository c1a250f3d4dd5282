import type { HandlerContext } from "@connectrpc/connect";
import { tenantOf } from "@soldier/chassis/identity";
import { currentTraceId } from "@soldier/chassis/tracing";
import type { DryRunRequest } from "@soldier/proto/alignment/v1/alignment_service";
import { Channel } from "@soldier/proto/common/v1/resource";
import type { CompiledBundle } from "../domain/compiled-bundle.ts";
import { inFull, rulesToldMax } from "../domain/why-not.ts";
import type { Means } from "../pipeline/means.ts";
import { observed } from "../pipeline/observed.ts";
import { rehearsal, type Rehearsed } from "../pipeline/rehearsal.ts";
import { TurnRecorder } from "../pipeline/turn-recorder.ts";
import type { Outlet } from "../pipeline/turn.ts";
import type { TurnParts } from "./process-turn.ts";
import { noLedger } from "./session-ledger.ts";

const nowhere: Outlet = { started: () => {}, delta: () => {}, completed: () => {} };

/**
 * How a turn would go on the behaviour that is asked for. A customer is looked up by id, and never
 * made; of one that is named otherwise nothing is known but the name.
 */
export async function dryRun(
  { means }: TurnParts,
  req: DryRunRequest,
  ctx: HandlerContext,
): Promise<Rehearsed> {
  const tenantId = tenantOf(ctx);
  const bundle = await bundleOf(req, tenantId, means);
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
    agent: bundle.agentId,
    sessionId: "",
    customerId: req.customer?.customerId ?? "",
    externalId: req.customer?.externalId ?? "",
    channel: Channel.API,
    text: req.text,
    opening: req.opening,
    idempotencyKey: "",
    metadata: {},
    traceId: currentTraceId() ?? "",
  };
  const given = { incoming, outlet: nowhere, recorder, ledger: noLedger };
  await pipeline.run(given, ctx.signal, observed(recorder));
  if (!end) throw new Error("a rehearsal ended without its end");
  // Nobody can ask later what became of a rule, so all of them are told now.
  return { ...end, record: inFull(end.record, bundle, rulesToldMax) };
}

function bundleOf(
  { agentId, behaviour }: DryRunRequest,
  tenantId: string,
  { bundles }: Means,
): Promise<CompiledBundle> {
  switch (behaviour.case) {
    case "draft":
      if (behaviour.value) return bundles.trial(agentId, undefined);
      return bundles.current(tenantId, agentId);
    case "document":
      return bundles.trial(agentId, behaviour.value);
    case "version":
      if (behaviour.value !== 0n) return bundles.version(tenantId, agentId, behaviour.value);
      return bundles.current(tenantId, agentId);
    case undefined:
      return bundles.current(tenantId, agentId);
  }
}
