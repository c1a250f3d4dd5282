import { ToolCallOutcome, type ToolCallRecord } from "@soldier/proto/audit/v1/turn_record";
import type { Tool } from "@soldier/proto/config/v1/tool";
import type { PlannedCall } from "../domain/tool-plan.ts";
import type { ToolMeans } from "./means.ts";
import { type ToolRun, runTool } from "./tool-run.ts";
import type { Turn } from "./turn.ts";

/** Tools that run in one turn, at most, whoever asks for them. */
export const toolRunsMax = 20;

type RunNeeds = "incoming" | "turnId" | "bundle" | "budget" | "ledger";

/** The runs of one turn: counted, bounded, and each under a key of its own. */
export class ToolRuns {
  readonly all: ToolRun[] = [];
  outsideMs = 0;
  private readonly turn: Pick<Turn, RunNeeds>;
  private readonly means: ToolMeans;
  /** How often each tool was called, for its idempotency keys. */
  private readonly counts = new Map<string, number>();
  private made = 0;

  constructor(turn: Pick<Turn, RunNeeds>, means: ToolMeans) {
    this.turn = turn;
    this.means = means;
  }

  async run(tool: Tool, requestedBy: string, { given, refusal }: PlannedCall): Promise<ToolRun> {
    const { turn, means } = this;
    const n = (this.counts.get(tool.id) ?? 0) + 1;
    this.counts.set(tool.id, n);
    if (!refusal) this.made++;
    const startedMs = performance.now();
    const run = await runTool(
      {
        tenantId: turn.incoming.tenantId,
        ledger: turn.ledger,
        tool,
        requestedBy,
        key: `${turn.turnId}:${tool.id}:${n}`,
        given,
        refusal: refusal ?? (this.made > toolRunsMax ? "TOOL_BUDGET_SPENT" : undefined),
        isPrivate: (name) => turn.bundle.fields.get(name)?.pii === true,
      },
      means,
      turn.budget,
    );
    this.all.push(run);
    if (run.record.attempts > 0) this.outsideMs += performance.now() - startedMs;
    return run;
  }
}

/** Whether it has its effect and its answer. */
export function succeeded({ outcome }: Pick<ToolCallRecord, "outcome">): boolean {
  return outcome === ToolCallOutcome.SUCCEEDED || outcome === ToolCallOutcome.REPLAYED;
}

/** Whether it was not sent because of what it would have been given. */
export function lacksArguments({ outcome }: Pick<ToolCallRecord, "outcome">): boolean {
  return (
    outcome === ToolCallOutcome.MISSING_ARGUMENTS || outcome === ToolCallOutcome.INVALID_ARGUMENTS
  );
}
