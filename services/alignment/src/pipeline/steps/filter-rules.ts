import { isIn, out, type RuleCandidate } from "../../domain/candidates.ts";
import type { CompiledBundle } from "../../domain/compiled-bundle.ts";
import { customersHalf } from "../../domain/customers-half.ts";
import { byScores, matchedOf } from "../../domain/rule-scores.ts";
import { chosen, proactive, waiting } from "../awaited-rules.ts";
import { tried } from "../degrade.ts";
import { extractedOf, judged, moveOf, verdicts } from "../judgement.ts";
import type { RulesAnswer } from "../judgement-shapes.ts";
import { type Case, caseOf } from "../judging-case.ts";
import type { Means } from "../means.ts";
import { modelCalls } from "../model-calls.ts";
import type { Step } from "../step.ts";
import type { RecordPart } from "../turn-recorder.ts";
import { speculate, type Speculation } from "../speculation.ts";
import { proposedCalls } from "../tool-proposals.ts";
import type { Turn } from "../turn.ts";
import { recorded, understanding } from "./extract-context.ts";

type Needs =
  | "incoming"
  | "bundle"
  | "history"
  | "state"
  | "turnNumber"
  | "context"
  | "profile"
  | "known"
  | "rules"
  | "scenarios"
  | "remembered"
  | "receivedAt"
  | "budget"
  | "rung"
  | "recorder";

type Adds =
  | "rules"
  | "matched"
  | "judgedMove"
  | "extracted"
  | "proposed"
  | "context"
  | "speculation";

/**
 * Which candidates truly apply: by their scores where these decide, else by a model's judgement. Fused,
 * the same call says what the message means, where it leads in the scenario, and what it gives for
 * fields and tools. A model that fails leaves the word to the scores.
 */
export function filterRules(means: Means): Step<Needs, Adds> {
  return {
    name: "filter-rules",
    async run(turn, signal) {
      const { bundle } = turn;
      const picked = chosen(turn);
      const candidates = picked ?? (turn.incoming.opening ? proactive(turn.rules) : waiting(turn));
      const given = caseOf(candidates, turn);
      const guessed = customersHalf(byScores(candidates, given.best, bundle.settings), turn);
      const scored = (record: RecordPart, speculation?: Speculation) => ({
        ...decided(guessed),
        ...nothingJudged(turn),
        speculation,
        record,
      });
      const mode = bundle.settings.judgement;
      const calls =
        mode === "scores"
          ? undefined
          : modelCalls(means, turn, mode === "fused" ? "judge" : "rules");
      if (!calls) return scored({ skipped: "no model: the scores decide" });
      const { open } = given;
      const isOpen = mode === "fused" ? open.rules || open.scenario || open.tools : open.rules;
      if (picked || !isOpen) return scored({ skipped: "the scores decide" });

      const speculation = await speculate(guessed, turn, means);
      if (mode === "separate") {
        const answer = await tried(() => judged("rules", given, turn, calls), signal);
        if (answer.fault)
          return scored({ ...calls.record, degraded: answer.fault.reason }, speculation);
        const rules = byJudgement(candidates, given, answer.value, bundle);
        const { record } = calls;
        return { ...decided(rules), ...nothingJudged(turn), speculation, record };
      }

      const answer = await tried(() => judged("judgement", given, turn, calls), signal);
      if (answer.fault)
        return scored({ ...calls.record, degraded: answer.fault.reason }, speculation);
      const { value } = answer;
      const context =
        bundle.settings.context === "llm" ? understanding(turn.context, value) : turn.context;
      return {
        ...decided(byJudgement(candidates, given, value, bundle)),
        judgedMove: moveOf(given, value.move, bundle),
        extracted: extractedOf(given, value, bundle, calls.id),
        proposed: proposedCalls(given.tools, value.calls),
        speculation,
        context,
        record: { ...calls.record, ...recorded(context, bundle) },
      };
    },
    off: (turn) => ({
      ...decided(byScores(turn.rules, 0, turn.bundle.settings)),
      ...nothingJudged(turn),
    }),
  };
}

function nothingJudged({ context }: Pick<Turn, "context">) {
  return {
    judgedMove: undefined,
    extracted: [],
    proposed: undefined,
    speculation: undefined,
    context,
  };
}

function decided(rules: readonly RuleCandidate[]) {
  return { rules, matched: matchedOf(rules) };
}

/** The model's word on those that it was asked about, the scores' on the others. */
function byJudgement(
  candidates: readonly RuleCandidate[],
  given: Case,
  answer: RulesAnswer,
  bundle: CompiledBundle,
): readonly RuleCandidate[] {
  const answers = verdicts(given, answer, bundle);
  const scored = byScores(candidates, given.best, bundle.settings);
  return candidates.map((candidate, i) => {
    if (!answers.has(candidate.rule.id)) return scored[i] ?? candidate;
    const verdict = answers.get(candidate.rule.id);
    const judge = verdict?.confidence ?? 0;
    const reason = verdict?.reason ?? "the model did not name it";
    // Where the message leads is known only later; until then its scope keeps it out.
    if (candidate.eliminatedBy === "scope")
      return { ...candidate, judge, holds: verdict?.applies ?? false };
    const asked = { ...candidate, eliminatedBy: "", distance: 0, judge };
    if (verdict?.applies) return { ...asked, reason };
    // One that only lingered from the last turn was out before.
    return isIn(candidate) ? out(asked, "judge", reason, judge) : { ...candidate, judge, reason };
  });
}
