import { create } from "@bufbuild/protobuf";
import { Fault } from "@soldier/kernel/fault";
import {
  type CheckRecord,
  CheckRecordSchema,
  ReplyRecordSchema,
} from "@soldier/proto/audit/v1/turn_record";
import { ReplySource, TurnOutcome } from "@soldier/proto/session/v1/session";
import { z } from "zod";
import { type CheckResult, checked, type Constraint, constraintsOf } from "../../domain/checks.ts";
import { type Bindings, bindingsOf } from "../../domain/expressions.ts";
import { fallbackReply, type PlannedReply } from "../../domain/reply.ts";
import type { Means } from "../means.ts";
import { type ModelCalls, modelCalls, together } from "../model-calls.ts";
import { instructions } from "../prompts.ts";
import type { Step } from "../step.ts";
import type { Draft, Reply, Turn } from "../turn.ts";
import { agentsFallback } from "../reply-plan.ts";

type Needs = "incoming" | "bundle" | "state" | "known" | "applied" | "draft" | "budget" | "rung";

const prompt = instructions(import.meta.url, "./enforce.md");

const verdictShape = z.object({
  demands: z.array(z.object({ id: z.string(), kept: z.boolean(), reason: z.string() })),
});

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
      const calls = modelCalls(means, turn, "check");
      const writing = modelCalls(means, turn, "generate");
      const checks: CheckRecord[] = [];
      const { gate } = draft;
      let { failed, fallbackReason } = draft;
      let regenerations = 0;

      const isFinal = draft.source === "fallback" || draft.source === "built_in";
      while (!failed && !isFinal) {
        const results = await judgedChecks(
          gate.written,
          constraints,
          turn,
          bindings,
          calls,
          signal,
        );
        checks.push(...results.map((result) => checkRecord(result, regenerations)));
        const broken = results.filter(({ passed }) => !passed);
        if (broken.length === 0) break;
        const mayRetry = regenerations < bundle.settings.generation.regenerations_max;
        if (!draft.rewrite || !writing || !mayRetry) {
          fallbackReason = `violated: ${broken.map(({ constraint }) => constraint.rule.name).join(", ")}`;
          return ended(saidInstead(turn, bindings, constraints, fallbackReason));
        }
        regenerations++;
        gate.startAgain();
        const failure = await draft.rewrite(writing, broken.map(demanded), turn.budget);
        if (failure === undefined) continue;
        failed = true;
        fallbackReason = failure;
      }
      if (failed) return ended(saidInstead(turn, bindings, constraints, fallbackReason));
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
            ...together(calls, writing),
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

/** Every demand on a whole text: those that need no model first, then the others in one call. */
async function judgedChecks(
  text: string,
  constraints: readonly Constraint[],
  turn: Pick<Turn, Needs>,
  bindings: Bindings,
  calls: ModelCalls | undefined,
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  const { expressions, settings } = turn.bundle;
  const plain = constraints
    .filter(({ kind }) => kind !== "judge")
    .map((constraint) => checked(constraint, text, expressions, bindings));
  const demands = constraints.filter(({ kind }) => kind === "judge");
  // A text that breaks a plain demand is written again in any case: no need to ask a model.
  if (plain.some(({ passed }) => !passed)) return plain;
  const critique = settings.generation.self_critique && turn.draft.source === "model";
  if (demands.length === 0 && !critique) return plain;
  if (!calls || !turn.draft.isGenerated)
    return [
      ...plain,
      ...demands.map((constraint) => ({
        constraint,
        passed: true,
        reason: "prewritten words: not judged",
      })),
    ];
  try {
    const asked = critique && demands.length === 0 ? turn.applied.map(critiqueOf) : demands;
    return [...plain, ...(await verdicts(text, asked, turn, calls))];
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof Fault)) throw error;
    // What can't be judged is not sent.
    const reason = `could not be judged: ${error.reason}`;
    return [...plain, ...demands.map((constraint) => ({ constraint, passed: false, reason }))];
  }
}

function critiqueOf(rule: Constraint["rule"]): Constraint {
  return { rule, kind: "judge", demand: rule.action };
}

async function verdicts(
  text: string,
  demands: readonly Constraint[],
  { incoming, budget }: Pick<Turn, "incoming" | "budget">,
  calls: ModelCalls,
): Promise<readonly CheckResult[]> {
  if (demands.length === 0) return [];
  const listed = demands.map(({ demand }, i) => `d${i + 1}: ${demand}`).join("\n");
  const { value } = await calls.structured(
    "judge-reply",
    {
      system: [{ text: prompt, cacheable: true }],
      messages: [
        {
          role: "user",
          text: `<demands>\n${listed}\n</demands>\n\n<message>\n${incoming.text}\n</message>\n\n<reply>\n${text}\n</reply>`,
        },
      ],
      maxTokens: 800,
      schema: verdictShape,
      schemaName: "verdict",
    },
    budget,
  );
  const byId = new Map(value.demands.map((verdict) => [verdict.id, verdict]));
  return demands.map((constraint, i) => {
    const verdict = byId.get(`d${i + 1}`);
    return {
      constraint,
      passed: verdict?.kept ?? false,
      reason: verdict ? (verdict.kept ? "" : verdict.reason) : "the judge left it out",
    };
  });
}

/** Says a fallback through the gate, after whatever was shown. */
function saidInstead(
  turn: Pick<Turn, Needs>,
  bindings: Bindings,
  constraints: readonly Constraint[],
  reason: string,
): PlannedReply {
  const { draft, bundle } = turn;
  const { gate } = draft;
  gate.startAgain();
  const before = gate.shown === "" ? "" : `${gate.shown.trimEnd()}\n\n`;
  // A fallback is trusted with what only its author can judge, but not to break a plain demand.
  const suits = (text: string) =>
    constraints
      .filter(({ kind }) => kind !== "judge")
      .every((each) => checked(each, before + text, bundle.expressions, bindings).passed);
  const said = fallbackReply(draft.candidates, agentsFallback(turn, bindings), reason, suits);
  gate.write(gate.shown === "" ? said.text : `\n\n${said.text}`);
  gate.open();
  return said;
}

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
