import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { timeoutSignal } from "@soldier/kernel/timeout-signal";
import { BudgetRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { Channel } from "@soldier/proto/common/v1/resource";
import {
  type Session,
  SessionStatus,
  type Turn as SessionTurn,
  TurnOutcome,
  TurnSchema,
} from "@soldier/proto/session/v1/session";
import { BeginTurnResult, type BeginTurnResponse } from "@soldier/proto/session/v1/session_service";
import {
  affords,
  type Budget,
  budgetOf,
  type Rung,
  rungOf,
  type Used,
} from "../../domain/budget.ts";
import type { CompiledBundle } from "../../domain/compiled-bundle.ts";
import type { TurnSettings } from "../../domain/turn-settings.ts";
import type { Means } from "../means.ts";
import type { Step } from "../step.ts";
import type { RecordPart } from "../turn-recorder.ts";
import type { Customer, Incoming } from "../turn.ts";

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

/**
 * Finds or opens the session and takes the right to write it. A message that was answered before ends
 * the turn here with that answer. A session that exists is begun first, because it says which agent
 * and customer it belongs to.
 */
export function receive(means: Means): Step<"incoming" | "claim" | "outlet", Adds> {
  return {
    name: "receive",
    async run({ incoming, claim, outlet }, signal) {
      const receivedAt = means.clock.now();
      checkText(incoming, means.limits.messageSizeMaxBytes);
      const turnId = newId();
      const dailyBudget = budgetOf(means.budgets, incoming.tenantId);
      const opening = incoming.sessionId ? undefined : await opened(incoming, means);
      const begun = await begin(incoming, opening, turnId, means, signal);
      const session = present(begun.session);
      if (begun.result === BeginTurnResult.ANSWERED && begun.answered)
        return {
          answered: { turn: begun.answered, replayed: true, position: session.state?.position },
        };

      if (!begun.lease) throw new Error("a turn was begun without a lease");
      claim.hold(begun.lease);
      const bundle =
        opening?.bundle ?? (await means.bundles.current(incoming.tenantId, session.agentId));
      const customer = opening?.customer ?? {
        id: session.customerId,
        externalId: incoming.externalId,
        profile: undefined,
        isNew: false,
      };
      outlet.started({ sessionId: session.id, turnId, turnNumber: begun.turnNumber });
      const { settings } = bundle;
      const used = usedOf(begun);
      const rung = dailyBudget ? rungOf(used, dailyBudget, means.budgets) : "full";
      if (settings.busy_policy === "supersede") claim.yields();
      return {
        turnId,
        turnNumber: begun.turnNumber,
        receivedAt,
        bundle,
        session,
        history: [
          ...begun.history.slice(-settings.history_turns_max),
          ...begun.supersededTexts.map((text) => unanswered(text, begun)),
        ],
        superseded: begun.supersededTexts,
        customer,
        off: switchedOff(settings, session, rung),
        budget: AbortSignal.any([signal, timeoutSignal(settings.turn_timeout_ms)]),
        dailyBudget,
        rung,
        record: dailyBudget ? budgetRecord(used, dailyBudget, rung) : {},
      };
    },
  };
}

/** A message whose turn was superseded, as a turn that came to nothing: what applied before still did. */
function unanswered(userText: string, { history, turnNumber }: BeginTurnResponse): SessionTurn {
  const rules = history.at(-1)?.rules ?? [];
  const outcome = TurnOutcome.SUPERSEDED;
  return create(TurnSchema, { number: turnNumber, userText, rules, outcome });
}

interface Opening {
  readonly bundle: CompiledBundle;
  readonly customer: Customer;
}

/** What a new session is made of: the agent and the customer, looked up side by side. */
async function opened(incoming: Incoming, means: Means): Promise<Opening> {
  const fields = [
    ...(incoming.agent ? [] : [{ field: "agent", description: "is needed to open a session" }]),
    ...(incoming.customerId || incoming.externalId
      ? []
      : [{ field: "customer", description: "is needed to open a session" }]),
  ];
  if (fields.length > 0)
    throw new Fault(
      "invalid",
      "a message needs a session, or an agent and a customer to open one",
      {
        reason: "SESSION_OR_AGENT_NEEDED",
        fields,
      },
    );
  const [bundle, customer] = await Promise.allSettled([
    means.bundles.current(incoming.tenantId, incoming.agent),
    customerOf(incoming, means),
  ]);
  // When both fail the same one is told each time, whichever was first.
  if (bundle.status === "rejected") throw bundle.reason as Error;
  if (customer.status === "rejected") throw customer.reason as Error;
  return { bundle: bundle.value, customer: customer.value };
}

async function customerOf(incoming: Incoming, { profile }: Means): Promise<Customer> {
  const { customerId, externalId } = incoming;
  const { profile: found, created: isNew } = customerId
    ? { ...(await profile.recallProfile({ customerId })), created: false }
    : await profile.getOrCreateProfile({ channel: channelOf(incoming), externalId });
  if (!found) throw new Error("the profile service answered without a profile");
  return { id: found.id, externalId, profile: found, isNew };
}

/** Takes the lease, waiting for a running turn as the agent's policy says. */
async function begin(
  incoming: Incoming,
  opening: Opening | undefined,
  turnId: string,
  means: Means,
  signal: AbortSignal,
): Promise<BeginTurnResponse> {
  const waitUntilMs = performance.now() + means.limits.turnTimeoutMs;
  const request = {
    target: opening
      ? ({
          case: "newSession",
          value: {
            agentId: opening.bundle.agentId,
            customerId: opening.customer.id,
            channel: channelOf(incoming),
            metadata: incoming.metadata,
          },
        } as const)
      : ({ case: "sessionId", value: incoming.sessionId } as const),
    turnId,
    text: incoming.text,
    readUsage: budgetOf(means.budgets, incoming.tenantId) !== undefined,
    idempotencyKey: incoming.idempotencyKey,
    requestHash: hashOf(incoming),
    leaseMs: BigInt(means.limits.leaseMs),
    historyTurnsMax: opening?.bundle.settings.history_turns_max ?? means.limits.historyTurnsMax,
  };
  let supersede = opening?.bundle.settings.busy_policy === "supersede";
  for (let waitMs = waitMinMs; ; waitMs = Math.min(waitMs * 2, waitMaxMs)) {
    const begun = await means.session.beginTurn({ ...request, supersede });
    const busy = begun.result === BeginTurnResult.BUSY;
    if (!busy && begun.result !== BeginTurnResult.IN_PROGRESS) return begun;

    if (busy) {
      const { agentId } = present(begun.session);
      const { settings } = await means.bundles.current(incoming.tenantId, agentId);
      if (settings.busy_policy === "reject") throw sessionBusy();
      if (settings.busy_policy === "supersede" && !supersede) {
        supersede = true;
        continue;
      }
    }
    const restMs = waitUntilMs - performance.now();
    if (restMs <= 0) throw busy ? sessionBusy() : inProgress();
    const hintMs = Number(begun.retryAfterMs) || waitMs;
    await paused(Math.min(waitMs, hintMs, restMs), signal);
  }
}

const waitMinMs = 10;
const waitMaxMs = 250;

async function paused(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await pause(ms, undefined, { signal });
  } catch {
    signal.throwIfAborted(); // with the call's own reason, not the timer's
  }
}

function usedOf({ usageToday }: BeginTurnResponse): Used {
  return {
    tokens: Number(usageToday?.tokens ?? 0),
    costMicros: Number(usageToday?.costMicros ?? 0),
  };
}

function budgetRecord(used: Used, budget: Budget, rung: Rung): RecordPart {
  const { tokensMax, costMicrosMax } = budget;
  return {
    ...(rung !== "full" && { degraded: `BUDGET_${rung.toUpperCase()}` }),
    facts: {
      budget: create(BudgetRecordSchema, {
        tokens: BigInt(used.tokens),
        tokensMax: BigInt(tokensMax),
        costMicros: BigInt(used.costMicros),
        costMicrosMax: BigInt(costMicrosMax),
        rung,
      }),
    },
  };
}

function switchedOff(
  settings: TurnSettings,
  session: Session,
  rung: Rung,
): ReadonlyMap<string, string> {
  if (session.status === SessionStatus.INTERRUPTED)
    return new Map(silentSteps.map((step) => [step, "the session is in a person's hands"]));
  return new Map([
    ...(affords(rung, "rerank") ? [] : [["rerank", "the day's budget"] as const]),
    ...[...settings.disabled_steps].map((step) => [step, "switched off"] as const),
  ]);
}

/** Everything that would lead to an answer. */
const silentSteps = [
  "reconcile",
  "extract-context",
  "retrieve",
  "rerank",
  "filter-rules",
  "adjudicate-scenario",
  "resolve-relations",
  "navigate-scenario",
  "execute-tools",
  "generate",
  "enforce",
];

/** A message says something; an opening has none. */
function checkText({ text, opening }: Incoming, sizeMaxBytes: number): void {
  if (opening && text !== "")
    throw new Fault("invalid", "an opening has no message: the agent speaks first", {
      reason: "OPENING_WITH_MESSAGE",
      fields: [{ field: "text", description: "must be empty with opening" }],
    });
  if (opening) return;
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes > sizeMaxBytes)
    throw new Fault("invalid", `the message has ${sizeBytes} bytes; it may have ${sizeMaxBytes}`, {
      reason: "MESSAGE_TOO_LARGE",
      fields: [{ field: "text", description: `at most ${sizeMaxBytes} bytes` }],
    });
  if (text.trim() === "")
    throw new Fault("invalid", "the message is empty", {
      reason: "MESSAGE_EMPTY",
      fields: [{ field: "text", description: "must say something" }],
    });
}

/** The same request again has the same hash; anything else under its key is refused. */
function hashOf(incoming: Incoming): Uint8Array<ArrayBuffer> {
  const { agent, sessionId, customerId, externalId, channel, text, opening } = incoming;
  const asked = [agent, sessionId, customerId, externalId, channel, text];
  // Added at the end, so that a key given before openings were known still finds its turn.
  const all = JSON.stringify(opening ? [...asked, "opening"] : asked);
  return new Uint8Array(createHash("sha256").update(all).digest());
}

function channelOf({ channel }: Incoming): Channel {
  return channel === Channel.UNSPECIFIED ? Channel.API : channel;
}

function present(session: Session | undefined): Session {
  if (!session) throw new Error("the session service answered without a session");
  return session;
}

function sessionBusy(): Fault {
  return new Fault("conflict", "another message of this session is being answered", {
    reason: "SESSION_BUSY",
    retryAfterMs: 1_000,
  });
}

function inProgress(): Fault {
  return new Fault("conflict", "this message is still being answered", {
    reason: "TURN_IN_PROGRESS",
    retryAfterMs: 1_000,
  });
}
