import { create } from "@bufbuild/protobuf";
import {
  type CheckRecord,
  CheckRecordSchema,
  ReplyRecordSchema,
} from "@soldier/proto/audit/v1/turn_record";
import { ReplySource, TurnOutcome } from "@soldier/proto/session/v1/session";
import {
  type CheckResult,
  checked,
  type Constraint,
  constraintsOf,
  isForbidding,
} from "../../domain/checks.ts";
import { type Bindings, bindingsOf } from "../../domain/expressions.ts";
import { fallbackReply, type PlannedReply } from "../../domain/reply.ts";
import type { Means } from "../means.ts";
import { modelCalls, together } from "../model-calls.ts";
import { checkedReply, type Judges } from "../reply-checks.ts";
import type { Step } from "../step.ts";
import type { Draft, Reply, Turn } from "../turn.ts";
import { agentsFallback } from "../reply-plan.ts";

type Needs =
  | "incoming"
  | "bundle"
  | "state"
  | "profile"
  | "known"
  | "applied"
  | "relations"
  | "draft"
  | "remembered"
  | "budget"
  | "rung"
  | "recorder";

/**
 * Lets the reply out when it keeps to what the applied rules demand; else has it written again with
 * what was broken stressed, and at last says a fallback. What was shown stays: a text that broke a
 * demand half-way is gone on from, never taken back.
 */
export function enforce(means: Means): Step<Needs, "reply"> {
  return {
    name: "enforce",
    async run(turn, signal) {
      const { draft, bundle } = turn;
      if (draft.source === "none")
        return { reply: unchecked(draft), record: { skipped: "nothing is said" } };
      const constraints = constraintsOf(turn.applied, turn.known);
      const bindings = bindingsOf(turn.known);
      const judges: Judges = {
        check: modelCalls(means, turn, "check"),
        critique: modelCalls(means, turn, "critique"),
      };
      const writing = modelCalls(means, turn, "generate");
      const checks: CheckRecord[] = [];
      const { gate } = draft;
      let { failed, fallbackReason } = draft;
      let regenerations = 0;

      const { expressions } = bundle;
      const keepsTo: KeepsTo = (text, which) =>
        constraints
          .filter(which)
          .every((each) => checked(each, text, expressions, bindings).passed);
      const isFinal = draft.source === "fallback" || draft.source === "built_in";
      if (isFinal && !keepsTo(gate.written, isForbidding))
        return ended(saidInstead(turn, bindings, keepsTo, `${fallbackReason}; it breaks a demand`));
      while (!failed && !isFinal) {
        const results = await checkedReply(
          gate.written,
          constraints,
          turn,
          bindings,
          judges,
          signal,
        );
        checks.push(...results.map((result) => checkRecord(result, regenerations)));
        const broken = results.filter(({ passed }) => !passed);
        if (broken.length === 0) break;
        const mayRetry = regenerations < bundle.settings.generation.regenerations_max;
        if (!draft.rewrite || !writing || !mayRetry) {
          fallbackReason = `violated: ${broken.map(({ constraint }) => constraint.rule.name).join(", ")}`;
          return ended(saidInstead(turn, bindings, keepsTo, fallbackReason));
        }
        regenerations++;
        gate.startAgain();
        const failure = await draft.rewrite(writing, broken.map(demanded), turn.budget);
        if (failure === undefined) continue;
        failed = true;
        fallbackReason = failure;
      }
      if (failed) return ended(saidInstead(turn, bindings, keepsTo, fallbackReason));
      gate.open();
      const { source, templateIds } = draft;
      return ended({ source, templateIds, reason: fallbackReason });

      function ended(
        said: Pick<PlannedReply, "templateIds" | "reason"> & { source: Draft["source"] },
      ) {
        const reply: Reply = {
          text: gate.shown,
          source: sources[said.source],
          outcome: failed ? TurnOutcome.DEGRADED : TurnOutcome.COMPLETED,
        };
        const nothing = constraints.length === 0 && regenerations === 0 && !failed;
        return {
          reply,
          record: {
            ...(nothing && { skipped: "nothing is demanded of the reply" }),
            ...together(judges.check, judges.critique, writing),
            facts: {
              reply: create(ReplyRecordSchema, {
                source: said.source,
                templateId: said.templateIds[0] ?? "",
                checks,
                regenerations,
                fallbackReason: said.reason,
              }),
            },
          },
        };
      }
    },
    off: ({ draft }) => ({ reply: unchecked(draft) }),
  };
}

/** What was written, as it is; nothing at all when it is nobody's turn to speak. */
function unchecked(draft: Draft): Reply {
  draft.gate.open();
  const spoken = draft.failed ? TurnOutcome.DEGRADED : TurnOutcome.COMPLETED;
  const outcome = draft.source === "none" ? TurnOutcome.SILENT : spoken;
  return { text: draft.gate.shown, source: sources[draft.source], outcome };
}

/** Says a fallback through the gate, after whatever was shown. */
function saidInstead(
  turn: Pick<Turn, Needs>,
  bindings: Bindings,
  keepsTo: KeepsTo,
  reason: string,
): PlannedReply {
  const { draft } = turn;
  const { gate } = draft;
  gate.startAgain();
  const join = gate.shown === "" ? "" : "\n\n";
  const fits = (which: (constraint: Constraint) => boolean) => (text: string) =>
    keepsTo(`${gate.shown}${join}${text}`, which);
  // A fallback is trusted with what only its author can judge, but not to break a plain demand.
  const said = fallbackReply(
    draft.candidates,
    agentsFallback(turn, bindings),
    reason,
    fits(({ kind }) => kind !== "judge"),
    fits(isForbidding),
  );
  if (said.text !== "") gate.write(join + said.text);
  gate.open();
  return said;
}

/** Whether a text keeps to those of the turn's constraints that are meant. */
type KeepsTo = (text: string, which: (constraint: Constraint) => boolean) => boolean;

function demanded({ constraint, reason }: CheckResult): string {
  const { rule, kind, demand } = constraint;
  const say: Record<Constraint["kind"], string> = {
    must_include: `say exactly: "${demand}"`,
    must_not_include: `never say: "${demand}"`,
    must_match: `match the pattern ${demand}`,
    must_not_match: `match nothing like ${demand}`,
    length_max: `at most ${demand} characters`,
    expression: `fulfil ${demand}`,
    judge: demand,
    critique: "be fit to send",
  };
  return `${say[kind]}${rule.action ? ` (${rule.action})` : ""}. The last attempt failed: ${reason}`;
}

function checkRecord({ constraint, passed, reason }: CheckResult, attempt: number): CheckRecord {
  return create(CheckRecordSchema, {
    ruleId: constraint.rule.id,
    kind: constraint.kind,
    passed,
    reason,
    attempt,
  });
}

const sources: Record<Draft["source"], ReplySource> = {
  model: ReplySource.MODEL,
  template: ReplySource.TEMPLATE,
  prompt: ReplySource.PROMPT,
  fallback: ReplySource.FALLBACK,
  built_in: ReplySource.BUILT_IN,
  none: ReplySource.UNSPECIFIED,
};
