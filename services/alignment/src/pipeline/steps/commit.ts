import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type ExtractedField, ExtractedFieldSchema } from "@soldier/proto/audit/v1/turn_record";
import {
  type Awaited,
  AwaitedSchema,
  SessionStatus,
  TurnOutcomeSchema,
  TurnSchema,
} from "@soldier/proto/session/v1/session";
import { enumName } from "../../domain/enum-name.ts";
import { givenFields } from "../../domain/given-fields.ts";
import { valueOf } from "../../domain/json.ts";
import { navigationRecord } from "../../domain/navigation-record.ts";
import { nextState } from "../../domain/next-state.ts";
import { bounded } from "../../domain/record-bounds.ts";
import { ruleRecords, scenarioRecords } from "../../domain/rule-records.ts";
import { ruleTable } from "../../domain/rule-table.ts";
import type { Means } from "../means.ts";
import type { Step } from "../step.ts";
import type { Turn } from "../turn.ts";
import { missingField, stepOf } from "../reply-plan.ts";

/** What a settlement is made of. */
export type SettleNeeds =
  | "incoming"
  | "superseded"
  | "recorder"
  | "turnId"
  | "turnNumber"
  | "receivedAt"
  | "bundle"
  | "session"
  | "customer"
  | "state"
  | "reconciled"
  | "context"
  | "known"
  | "rules"
  | "scenarios"
  | "applied"
  | "relations"
  | "navigation"
  | "effects"
  | "reply";

/**
 * Makes the turn real: state, turn, record and events in one call. It may be repeated while the peer
 * is away, which its idempotence allows; before it has succeeded nobody is told that the turn is done.
 */
export function commit(
  means: Means,
): Step<SettleNeeds | "claim" | "dailyBudget" | "extracted" | "profile", "committed"> {
  const { session: sessions } = means;
  return {
    name: "commit",
    async run(turn) {
      const { state, record, message } = settled(turn, means, ["commit", "respond"]);
      const { turn: stored } = await sessions.commitTurn({
        lease: turn.claim.lease,
        expectedVersion: turn.session.version,
        state,
        turn: message,
        record,
        status: statusAfter(turn),
        extractedFields: extracted(turn),
        ...(turn.dailyBudget && { usage: turn.recorder.usage }),
      });
      turn.claim.settled();
      return { committed: { turn: stored ?? message } };
    },
  };
}

/** What a finished turn leaves: the next state, the turn, and the record of how it came about. */
export function settled(
  turn: Pick<Turn, SettleNeeds>,
  { embedder, reranker }: Pick<Means, "embedder" | "reranker">,
  stepsToCome: readonly string[],
) {
  const { incoming, bundle, session, customer, turnNumber, reply } = turn;
  // What superseded turns were asked is answered here, and nowhere else.
  const userText = [...turn.superseded, incoming.text].join("\n");
  const message = create(TurnSchema, {
    id: turn.turnId,
    sessionId: session.id,
    number: turnNumber,
    userText,
    replyText: reply.text,
    outcome: reply.outcome,
    receivedAt: timestampFromDate(turn.receivedAt),
    traceId: incoming.traceId,
    bundleVersion: BigInt(bundle.version),
    idempotencyKey: incoming.idempotencyKey,
    rules: turn.applied.map(({ name }) => name),
    replySource: reply.source,
  });
  const applied = new Set(turn.applied.map(({ id }) => id));
  const rules = ruleRecords(turn.rules, applied);
  const record = turn.recorder.sealed(
    {
      tenantId: incoming.tenantId,
      agentId: bundle.agentId,
      sessionId: session.id,
      turnId: turn.turnId,
      turnNumber,
      customerId: customer.id,
      traceId: incoming.traceId,
      bundleVersion: BigInt(bundle.version),
      receivedAt: timestampFromDate(turn.receivedAt),
      userText,
      replyText: reply.text,
      outcome: enumName(TurnOutcomeSchema, reply.outcome).toLowerCase(),
      rules,
      // Told one by one, all of them, there is nothing to add.
      ...(rules.length < turn.rules.length && {
        ruleTable: ruleTable(bundle.rules, turn.rules, applied),
      }),
      scenarios: scenarioRecords(turn.scenarios),
      navigation: navigationRecord(session.state, turn.navigation, turn.reconciled, bundle),
      embeddingModel: embedder.model,
      reranker: reranker.id,
    },
    stepsToCome,
  );
  return {
    state: nextState({
      ...turn,
      awaited: awaited(turn),
      matchThreshold: bundle.settings.matching.match_threshold,
    }),
    record: bounded(record),
    message,
  };
}

/** What the reply asked for, beyond what tools lack. */
function awaited(turn: Pick<Turn, SettleNeeds>): Awaited | undefined {
  const { relations, turnNumber } = turn;
  const askedTurn = turnNumber;
  if (relations.choice) {
    const ruleIds = relations.choice.among.map(({ id }) => id);
    return create(AwaitedSchema, { for: { case: "choice", value: { ruleIds } }, askedTurn });
  }
  const field = missingField(turn, stepOf(turn));
  if (field === undefined) return undefined;
  return create(AwaitedSchema, { for: { case: "field", value: field }, askedTurn });
}

/** A conversation that a person has taken over stays with that person. */
function statusAfter({ effects, session }: Pick<Turn, "effects" | "session">): SessionStatus {
  if (effects.status !== undefined) return effects.status;
  const { status } = session;
  return status === SessionStatus.INTERRUPTED ? status : SessionStatus.ACTIVE;
}

function extracted(
  turn: Pick<Turn, "context" | "extracted" | "known" | "profile" | "bundle">,
): ExtractedField[] {
  const { context, bundle } = turn;
  return givenFields({ ...turn, found: context.fields }, false)
    .kept.filter(({ name }) => bundle.fields.has(name))
    .map(({ name, value, confidence, extractor }) =>
      create(ExtractedFieldSchema, { name, value: valueOf(value), confidence, extractor }),
    );
}
