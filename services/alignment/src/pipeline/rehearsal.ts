import { create } from "@bufbuild/protobuf";
import { newId } from "@soldier/kernel/ids";
import { timeoutSignal } from "@soldier/kernel/timeout-signal";
import type { TurnRecord } from "@soldier/proto/audit/v1/turn_record";
import {
  type SessionState,
  SessionSchema,
  SessionStateSchema,
  SessionStatus,
  type Turn as SessionTurn,
} from "@soldier/proto/session/v1/session";
import type { CompiledBundle } from "../domain/compiled-bundle.ts";
import type { Means } from "./means.ts";
import { Pipeline, type Step } from "./step.ts";
import { adjudicateScenario } from "./steps/adjudicate-scenario.ts";
import { type SettleNeeds, settled } from "./steps/commit.ts";
import { enforce } from "./steps/enforce.ts";
import { executeTools } from "./steps/execute-tools.ts";
import { extractContext } from "./steps/extract-context.ts";
import { filterRules } from "./steps/filter-rules.ts";
import { generate } from "./steps/generate.ts";
import { navigateScenario } from "./steps/navigate-scenario.ts";
import { reconcile } from "./steps/reconcile.ts";
import { rerank } from "./steps/rerank.ts";
import { resolveRelationsStep } from "./steps/resolve-relations.ts";
import { retrieve } from "./steps/retrieve.ts";
import type { ToolTransport } from "./tool-transport.ts";

/** What a turn that is only tried out begins with. */
export interface Scene {
  readonly bundle: CompiledBundle;
  readonly state: SessionState | undefined;
  readonly history: readonly SessionTurn[];
}

/** A turn as it would go, with no effect anywhere: no session, no commit, no tool that changes things. */
export function rehearsal(means: Means, scene: Scene, ended: (end: Rehearsed) => void) {
  const harmless = {
    ...means,
    tools: { ...means.tools, transport: readOnly(means.tools.transport) },
  };
  return Pipeline.startingWith<"incoming" | "outlet" | "recorder" | "ledger">()
    .step(setUp(means, scene))
    .step(reconcile())
    .step(extractContext(harmless))
    .step(retrieve(harmless))
    .step(rerank(harmless))
    .step(filterRules(harmless))
    .step(adjudicateScenario(harmless))
    .step(resolveRelationsStep())
    .step(navigateScenario())
    .step(executeTools(harmless))
    .step(generate(harmless))
    .step(enforce(harmless))
    .step(takeDown(means, ended));
}

export interface Rehearsed {
  readonly record: TurnRecord;
  readonly state: SessionState;
}

type Adds =
  | "turnId"
  | "turnNumber"
  | "receivedAt"
  | "bundle"
  | "session"
  | "history"
  | "superseded"
  | "customer"
  | "off"
  | "budget"
  | "dailyBudget"
  | "rung";

function setUp({ clock }: Means, { bundle, state, history }: Scene): Step<"incoming", Adds> {
  return {
    name: "receive",
    async run({ incoming }, signal) {
      const turnNumber = (history.at(-1)?.number ?? history.length) + 1;
      return {
        turnId: newId(),
        turnNumber,
        receivedAt: clock.now(),
        bundle,
        session: create(SessionSchema, {
          id: newId(),
          agentId: bundle.agentId,
          customerId: incoming.customerId,
          channel: incoming.channel,
          status: SessionStatus.ACTIVE,
          turnCount: turnNumber - 1,
          state: state ?? create(SessionStateSchema),
        }),
        history: history.slice(-bundle.settings.history_turns_max),
        superseded: [],
        customer: {
          id: incoming.customerId,
          externalId: incoming.externalId,
          profile: undefined,
          isNew: false,
        },
        off: new Map([...bundle.settings.disabled_steps].map((step) => [step, "switched off"])),
        budget: AbortSignal.any([signal, timeoutSignal(bundle.settings.turn_timeout_ms)]),
        dailyBudget: undefined,
        rung: "full",
      };
    },
  };
}

function takeDown(means: Means, ended: (end: Rehearsed) => void): Step<SettleNeeds, never> {
  return {
    name: "commit",
    async run(turn) {
      const { record, state } = settled(turn, means, []);
      ended({ record, state });
      return {};
    },
  };
}

/** Lets through what only reads. */
function readOnly(transport: ToolTransport): ToolTransport {
  return {
    async call(req, signal) {
      if (await transport.onlyReads(req, signal)) return transport.call(req, signal);
      return { kind: "refused", reason: "DRY_RUN" };
    },
    onlyReads: (req, signal) => transport.onlyReads(req, signal),
  };
}
