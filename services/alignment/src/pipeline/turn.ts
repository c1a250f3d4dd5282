import type { Channel } from "@soldier/proto/common/v1/resource";
import type { Rule } from "@soldier/proto/config/v1/rule";
import type { CustomerProfile } from "@soldier/proto/profile/v1/profile";
import type {
  ReplySource,
  ScenarioPosition,
  Session,
  SessionState,
  SessionStatus,
  Turn as SessionTurn,
  TurnOutcome,
} from "@soldier/proto/session/v1/session";
import type { RuleCandidate, ScenarioCandidate } from "../domain/candidates.ts";
import type { CompiledBundle } from "../domain/compiled-bundle.ts";
import type { Context } from "../domain/context.ts";
import type { FoundField } from "../domain/fields.ts";
import type { Budget, Rung } from "../domain/budget.ts";
import type { Gate } from "../domain/gate.ts";
import type { JsonRecord } from "../domain/json.ts";
import type { KnownValues } from "../domain/known-values.ts";
import type { JudgedMove, Navigation } from "../domain/navigation-question.ts";
import type { Remembered } from "../domain/remembered.ts";
import type { PlannedReply } from "../domain/reply.ts";
import type { TemplateCandidate } from "../domain/templates.ts";
import type { ModelCalls } from "./model-calls.ts";
import type { Speculation } from "./speculation.ts";
import type { SessionClaim } from "./session-claim.ts";
import type { ToolLedger } from "./tool-ledger.ts";
import type { TurnRecorder } from "./turn-recorder.ts";

/** Everything that a turn gathers on its way through the pipeline. Steps add; none changes. */
export interface Turn {
  /** Given: what was asked, by whom, and where pieces of the answer go. */
  incoming: Incoming;
  outlet: Outlet;
  claim: SessionClaim;
  recorder: TurnRecorder;
  /** Asked before a tool has an effect. */
  ledger: ToolLedger;

  /** receive */
  turnId: string;
  turnNumber: number;
  receivedAt: Date;
  bundle: CompiledBundle;
  session: Session;
  /** Oldest first. What was written in turns that this one takes the place of comes last. */
  history: readonly SessionTurn[];
  /** The texts of those turns, oldest first: this turn answers them, too. */
  superseded: readonly string[];
  customer: Customer;
  /** Steps that do not run in this turn, and why. */
  off: ReadonlyMap<string, string>;
  /** Ends when the turn has had its time, or nobody waits for it any more. */
  budget: AbortSignal;
  /** The tenant's budget of the day, when it has one: then what the turn uses is counted. */
  dailyBudget: Budget | undefined;
  /** How far that cuts the turn back. */
  rung: Rung;

  /** reconcile; later steps hand on their own version of it */
  state: SessionState;
  /** Why the session's place had to change before the message was looked at; empty when not. */
  reconciled: string;

  /** extract-context */
  context: Context;

  /** retrieve */
  profile: CustomerProfile | undefined;
  /** All that names may refer to; execute-tools adds results. */
  known: KnownValues;
  /** What is known of the customer, told with dates, and what of it no prompt may tell. */
  remembered: readonly Remembered[];
  rules: readonly RuleCandidate[];
  scenarios: readonly ScenarioCandidate[];

  /** filter-rules */
  matched: readonly Rule[];
  judgedMove: JudgedMove | undefined;
  /**
   * Calls that a model proposes, by tool id: an entry for each tool that it was asked about, empty when
   * it is not wanted now. Undefined when no model was asked.
   */
  proposed: ReadonlyMap<string, readonly JsonRecord[]> | undefined;
  /** A reply that was begun while the message was judged, for what the scores led to expect. */
  speculation: Speculation | undefined;
  /** Values for fields that a model read in the message; empty where none was asked. */
  extracted: readonly FoundField[];

  /** resolve-relations; navigate-scenario adds rules that came into scope */
  applied: readonly Rule[];
  relations: RelationEffects;

  /** navigate-scenario, execute-tools */
  navigation: Navigation;

  /** execute-tools */
  effects: Effects;

  /** generate */
  draft: Draft;

  /** enforce */
  reply: Reply;

  /** commit */
  committed: Committed;
}

export type Field = keyof Turn;

/** One message of a customer, as it came in. */
export interface Incoming {
  readonly tenantId: string;
  /** Id or slug; needed to open a session. */
  readonly agent: string;
  /** Empty opens one. */
  readonly sessionId: string;
  readonly customerId: string;
  readonly externalId: string;
  readonly channel: Channel;
  /** Empty for an opening, and only then. */
  readonly text: string;
  /** The agent may speak first: there is no message. */
  readonly opening: boolean;
  readonly idempotencyKey: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly traceId: string;
}

/** Where a turn's events go, as they happen. */
export interface Outlet {
  started(turn: { sessionId: string; turnId: string; turnNumber: number }): void;
  delta(text: string): void;
  completed(answer: Answer): void;
}

/** What the caller gets in the end. */
export interface Answer {
  readonly turn: SessionTurn;
  readonly replayed: boolean;
  readonly position: ScenarioPosition | undefined;
}

export interface Customer {
  readonly id: string;
  /** The name on the channel; empty when only the id is known. */
  readonly externalId: string;
  /** Known already when the session is new. */
  readonly profile: CustomerProfile | undefined;
  /** Never seen before this turn: nobody remembers anything of it. */
  readonly isNew: boolean;
}

/** What relations decided beyond which rules apply. */
export interface RelationEffects {
  readonly choice: { readonly asks: Rule; readonly among: readonly Rule[] } | undefined;
  readonly scenariosAdded: readonly string[];
  readonly scenariosDropped: readonly string[];
}

/** What tools did to the turn. */
export interface Effects {
  /** What must be asked of the customer before the agent can go on. */
  readonly asks: readonly string[];
  /** What was left undone on purpose and why, for whoever writes the reply. */
  readonly notDone: readonly string[];
  /** Tools that should have run and did not succeed, by id. */
  readonly unfinished: ReadonlySet<string>;
  /** The session's status after the turn, when a tool changed it. */
  readonly status: SessionStatus | undefined;
}

/** A reply that was written and is not yet let out, at least not all of it. */
export interface Draft {
  readonly gate: Gate;
  readonly candidates: readonly TemplateCandidate[];
  readonly source: PlannedReply["source"] | "model" | "none";
  readonly templateIds: readonly string[];
  /** Why it is a fallback, when it is one. */
  readonly fallbackReason: string;
  /** A model's failure made it one. */
  readonly failed: boolean;
  /** A model wrote it, or filled a template in: what only a judge can check is judged. */
  readonly isGenerated: boolean;
  /** Writes again after a violation, going on from what was shown; undefined without a model. */
  readonly rewrite: Rewrite | undefined;
}

/** Writes into the gate; resolves with the reason of the model's failure, if it failed. */
export type Rewrite = (
  calls: ModelCalls,
  stressed: readonly string[],
  signal: AbortSignal,
) => Promise<string | undefined>;

export interface Reply {
  readonly text: string;
  readonly source: ReplySource;
  readonly outcome: TurnOutcome;
}

export interface Committed {
  readonly turn: SessionTurn;
}
