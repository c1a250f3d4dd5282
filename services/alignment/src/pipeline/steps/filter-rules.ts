import type { Rule } from "@soldier/proto/config/v1/rule";
import type { MatchScore } from "@soldier/retrieval/match-index";
import { isIn, out, type RuleCandidate } from "../../domain/candidates.ts";
import type { CompiledBundle, Edge } from "../../domain/compiled-bundle.ts";
import { edgeScores, isAmbiguous } from "../../domain/edge-scores.ts";
import { pattern } from "../../domain/patterns.ts";
import { appliesUnasked } from "../../domain/rule-filters.ts";
import { compareRules } from "../../domain/rule-order.ts";
import { placeOf } from "../../domain/turn-values.ts";
import { tried } from "../degrade.ts";
import { type Case, judged, type Judgement, moveOf, verdicts } from "../judgement.ts";
import type { Means } from "../means.ts";
import { ModelCalls } from "../model-calls.ts";
import type { Step } from "../step.ts";
import type { Turn } from "../turn.ts";
import { recorded, understanding } from "./extract-context.ts";

type Needs =
  | "incoming"
  | "bundle"
  | "history"
  | "state"
  | "turnNumber"
  | "context"
  | "rules"
  | "scenarios"
  | "budget";

type Adds = "rules" | "matched" | "judgedMove" | "proposed" | "extracted" | "context";

/**
 * Which candidates truly apply: by their scores where these decide, else by a model's judgement, which
 * in one call also says what the message means and where it leads in the scenario. A model that fails
 * leaves the word to the scores.
 */
export function filterRules({ model }: Means): Step<Needs, Adds> {
  return {
    name: "filter-rules",
    async run(turn, signal) {
      const chosen = answered(turn);
      const candidates = chosen ?? waiting(turn);
      const given = caseOf(candidates, turn);
      const { judgement } = turn.bundle.settings;
      if (!model || judgement === "scores" || chosen || isDecided(given, candidates, turn)) {
        const rules = byScores(candidates, given.best, turn.bundle);
        const reason = model ? "the scores decide" : "no model: the scores decide";
        const record = { skipped: reason };
        return {
          ...decided(rules),
          judgedMove: undefined,
          proposed: undefined,
          extracted: [],
          context: turn.context,
          record,
        };
      }

      const calls = new ModelCalls(model);
      const answer = await tried(() => judged(given, turn, calls), signal);
      if (answer.fault) {
        const rules = byScores(candidates, given.best, turn.bundle);
        const record = { ...calls.record, degraded: answer.fault.reason };
        return {
          ...decided(rules),
          judgedMove: undefined,
          proposed: undefined,
          extracted: [],
          context: turn.context,
          record,
        };
      }
      const separate = judgement === "separate";
      const context =
        separate || turn.bundle.settings.context !== "llm"
          ? turn.context
          : understanding(turn.context, answer.value);
      return {
        ...decided(byJudgement(candidates, given, answer.value, turn.bundle)),
        judgedMove: moveOf(given, answer.value),
        proposed: undefined,
        extracted: [],
        context,
        record: { ...calls.record, ...recorded(context, turn.bundle) },
      };
    },
    off: (turn) => ({
      ...decided(byScores(turn.rules, 0, turn.bundle)),
      judgedMove: undefined,
      proposed: undefined,
      extracted: [],
      context: turn.context,
    }),
  };
}

/** When the agent had asked which of several was meant: those candidates, if the message says. */
function answered({
  state,
  turnNumber,
  incoming,
  rules,
}: Pick<Turn, Needs>): readonly RuleCandidate[] | undefined {
  const { awaited } = state;
  if (awaited?.for.case !== "choice" || awaited.askedTurn !== turnNumber - 1) return undefined;
  const { ruleIds } = awaited.for.value;
  const number = /^\s*(?:(?:number|option)\s*)?(\d{1,2})\b/i.exec(incoming.text)?.[1];
  const options = rules.filter(({ rule }) => ruleIds.includes(rule.id));
  const [best, next] = options.toSorted((a, b) => b.scores.match - a.scores.match);
  const leads = (best?.scores.hybrid ?? 0) - (next?.scores.hybrid ?? 0) >= choiceMargin;
  const id = number ? ruleIds[Number(number) - 1] : leads ? best?.rule.id : undefined;
  if (id === undefined) return undefined;
  return rules.map((candidate) =>
    candidate.rule.id === id
      ? { ...candidate, eliminatedBy: "", reason: "chosen by the customer", distance: 0, judge: 1 }
      : out(candidate, "choice", "the customer chose another"),
  );
}

const choiceMargin = 0.05;

/** Rules of the last turn whose tool waits for what this message gives: they go on applying. */
function waiting({
  state,
  turnNumber,
  incoming,
  history,
  bundle,
  context,
  rules,
}: Pick<Turn, Needs>): readonly RuleCandidate[] {
  const { awaited } = state;
  if (awaited?.for.case !== "argument" || awaited.askedTurn !== turnNumber - 1) return rules;
  const { toolId, argument } = awaited.for.value;
  const expected = bundle.toolsById.get(toolId)?.arguments[argument]?.pattern;
  const { match_threshold } = bundle.settings.matching;
  const other = rules.some((each) => isIn(each) && scoreOf(each) >= match_threshold);
  const gives = expected
    ? pattern(expected)?.test(incoming.text) === true
    : !other && context.exitSignal === 0;
  if (!gives) return rules;
  const before = new Set(history.at(-1)?.rules);
  return rules.map((candidate) => {
    const { rule, eliminatedBy } = candidate;
    const waits = before.has(rule.name) && rule.toolIds.includes(toolId);
    // Scores and cooldowns are about new reasons; this is the old one.
    const may = ["", "selection", "cooldown", "one_shot", "fires"].includes(eliminatedBy);
    if (!waits || !may) return candidate;
    const reason = `the customer gives its ${argument}`;
    return { ...candidate, eliminatedBy: "", reason, distance: 0, judge: 1 };
  });
}

interface Judging extends Case {
  readonly edgeScore: (edge: Edge) => number;
  /** The hybrid score of the best explanation of the message: a rule, an edge or an entry. */
  readonly best: number;
}

function above(threshold: number) {
  return ({ match, hybrid }: MatchScore) => (match >= threshold ? [hybrid] : []);
}

/** Applies without anyone's word: so likely, and nothing else explains the message better. */
function isCertain(candidate: RuleCandidate, best: number, { settings }: CompiledBundle): boolean {
  return (
    scoreOf(candidate) >= settings.matching.certain_threshold &&
    !isBehind(candidate, best, settings)
  );
}

/** A hard constraint is in force wherever it may be meant. */
function isBehind(
  { rule, scores }: RuleCandidate,
  best: number,
  { matching }: CompiledBundle["settings"],
): boolean {
  return !rule.hardConstraint && scores.hybrid < best - matching.lead;
}

/** What a model would be asked. */
function caseOf(
  candidates: readonly RuleCandidate[],
  { bundle, state, incoming, context, scenarios }: Pick<Turn, Needs>,
): Judging {
  const place = placeOf(state);
  const home = bundle.scenariosById.get(place.scenarioId);
  const edgeScore = edgeScores(bundle, incoming.text, context);
  const edges =
    home?.edges.filter(
      ({ fromStepId, transition }) => fromStepId === place.stepId && transition.condition !== "",
    ) ?? [];
  const entries = scenarios.filter(
    ({ selected, scenario }) => selected && scenario.id !== place.scenarioId,
  );
  const { transition_threshold, entry_threshold } = bundle.settings.navigation;
  const best = Math.max(
    0,
    ...candidates.filter(isIn).map(({ scores }) => scores.hybrid),
    ...edges.map(edgeScore).flatMap(above(transition_threshold)),
    ...(home ? [] : entries.map(({ scores }) => scores).flatMap(above(entry_threshold))),
  );
  const certain = (each: RuleCandidate) => isCertain(each, best, bundle);
  return {
    rules: candidates.filter(
      (each) =>
        isIn(each) && each.judge === undefined && !certain(each) && !appliesUnasked(each.rule),
    ),
    edges,
    scenarios: entries,
    edgeScore: (edge) => edgeScore(edge).match,
    best,
  };
}

/** Whether the scores leave nothing to judge, neither of rules nor of the scenario. */
function isDecided(
  given: Judging,
  candidates: readonly RuleCandidate[],
  { bundle }: Pick<Turn, "bundle">,
): boolean {
  const { match_threshold } = bundle.settings.matching;
  const open = given.rules.some((each) => scoreOf(each) >= match_threshold);
  const certain = candidates.some((each) => isIn(each) && isCertain(each, given.best, bundle));
  // Nothing near a match may only mean that it was put in other words: a model can tell.
  const unsure = !certain && given.rules.length > 0;
  return (
    !open &&
    !unsure &&
    !isAmbiguous(
      given.edges.map(given.edgeScore),
      given.scenarios.map(({ scores }) => scores.match),
      bundle.settings,
    )
  );
}

function byScores(
  candidates: readonly RuleCandidate[],
  best: number,
  { settings }: CompiledBundle,
): readonly RuleCandidate[] {
  const { match_threshold } = settings.matching;
  return candidates.map(unasked).map((candidate) => {
    const score = scoreOf(candidate);
    if (!isIn(candidate) || candidate.judge !== undefined || appliesUnasked(candidate.rule))
      return candidate;
    if (isBehind(candidate, best, settings)) {
      const distance = best - settings.matching.lead - candidate.scores.hybrid;
      return out(candidate, "lead", "something else explains the message better", distance);
    }
    if (score >= match_threshold)
      return { ...candidate, reason: `${score.toFixed(2)} reaches ${match_threshold}` };
    const reason = `${score.toFixed(2)} is below ${match_threshold}`;
    return out(candidate, "threshold", reason, match_threshold - score);
  });
}

function byJudgement(
  candidates: readonly RuleCandidate[],
  given: Judging,
  judgement: Judgement,
  bundle: CompiledBundle,
): readonly RuleCandidate[] {
  const answers = verdicts(given, judgement);
  const asked = candidates.filter(({ rule }) => answers.has(rule.id));
  const certain = byScores(candidates, given.best, bundle);
  return certain.map((candidate, i) => {
    const before = candidates[i] ?? candidate;
    if (!asked.includes(before)) return candidate;
    const answer = answers.get(candidate.rule.id);
    const judge = answer?.confidence ?? 0;
    const reason = answer?.reason ?? "the model did not name it";
    if (answer?.applies) return { ...before, judge, reason };
    return out({ ...before, judge }, "judge", reason, judge);
  });
}

/** An always-on constraint is in whatever its score, unless something is against it. */
function unasked(candidate: RuleCandidate): RuleCandidate {
  const free = candidate.eliminatedBy === "" || candidate.eliminatedBy === "selection";
  if (!free || !appliesUnasked(candidate.rule)) return candidate;
  return { ...candidate, eliminatedBy: "", reason: "applies without being asked", distance: 0 };
}

function decided(rules: readonly RuleCandidate[]): {
  rules: readonly RuleCandidate[];
  matched: readonly Rule[];
} {
  const matched = rules
    .filter(isIn)
    .map(({ rule }) => rule)
    .toSorted(compareRules);
  return { rules, matched };
}

function scoreOf({ rerank, scores }: RuleCandidate): number {
  return rerank ?? scores.match;
}
