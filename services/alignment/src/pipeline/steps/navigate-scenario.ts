import type { Rule } from "@soldier/proto/config/v1/rule";
import type { MatchScore } from "@soldier/retrieval/match-index";
import { isIn, out, type RuleCandidate } from "../../domain/candidates.ts";
import type { CompiledBundle } from "../../domain/compiled-bundle.ts";
import { edgeScores } from "../../domain/edge-scores.ts";
import { bindingsOf } from "../../domain/expressions.ts";
import { type GivenFields, givenFields } from "../../domain/given-fields.ts";
import { arrivedAt, groundOf, knownAt, withFields } from "../../domain/navigating.ts";
import { navigate } from "../../domain/navigation.ts";
import type { EntryScore, Navigation } from "../../domain/navigation-question.ts";
import { fieldsOfLastRun, withoutFields } from "../../domain/reentry.ts";
import { unfounded } from "../../domain/relations.ts";
import { appliesUnasked, exclusionOf } from "../../domain/rule-filters.ts";
import { isGlobal } from "../../domain/scope.ts";
import { movedTo, placeOf } from "../../domain/turn-values.ts";
import type { Step } from "../step.ts";
import type { Turn } from "../turn.ts";
import { related } from "./resolve-relations.ts";

type Needs =
  | "incoming"
  | "bundle"
  | "state"
  | "turnNumber"
  | "context"
  | "profile"
  | "known"
  | "rules"
  | "scenarios"
  | "matched"
  | "judgedMove"
  | "extracted"
  | "applied"
  | "relations";

type Adds = "state" | "known" | "navigation" | "rules" | "matched" | "applied" | "relations";

/** Moves the session through its scenario, and lets in the rules of the place that it comes to. */
export function navigateScenario(): Step<Needs, Adds> {
  return {
    name: "navigate-scenario",
    async run(turn) {
      const digression = digresses(turn);
      const first = anew(turn, digression, digression);
      // What was taken for an answer was none, when the customer left or began something else.
      const { left, position } = first.navigation;
      const isElse = position && position.scenarioId !== turn.state.position?.scenarioId;
      return inScope(turn, left || isElse ? anew(turn, digression, true) : first);
    },
    off: ({ state, known, rules, matched, applied, relations }) => ({
      state,
      known,
      rules,
      matched,
      applied,
      relations,
      navigation: {
        position: state.position,
        visits: state.visits,
        lowConfidenceTurns: state.lowConfidenceTurns,
        moves: [],
        reason: "",
        entered: [],
        left: false,
      },
    }),
  };
}

type Moved = Pick<Turn, "state" | "known" | "navigation">;

/** A scenario that begins again begins without what its last run has collected. */
function anew(turn: Pick<Turn, Needs>, digression: boolean, speaksOfElse: boolean): Moved {
  const at = moved(turn, digression, given(turn, speaksOfElse));
  const old = fieldsOfLastRun(turn.state, at.navigation, turn.bundle);
  if (old.length === 0) return at;
  const state = withoutFields(turn.state, old);
  const clean = { ...turn, state, known: movedTo(turn.known, state, turn.bundle) };
  return moved(clean, digression, given(clean, speaksOfElse));
}

/** Where the message leads, with what it gives. */
function moved(
  turn: Pick<Turn, Needs>,
  digression: boolean,
  { kept, corrects, isSure }: GivenFields,
): Moved {
  const { bundle, incoming, context, relations } = turn;
  const scoreOf = edgeScores(bundle, incoming.text, context);
  const gathered = withFields(turn.state, kept);
  const isBehind = behindRules(turn);
  const navigation = navigate({
    ...groundOf({ ...turn, state: gathered, known: movedTo(turn.known, gathered, bundle) }),
    heard: incoming.text !== "",
    edgeScore: (edge) => scoreOf(edge).match,
    outdone: (edge) => isBehind(scoreOf(edge)),
    entries: entries(turn, isBehind),
    blocked: new Set([...relations.scenariosDropped, ...unable(turn)]),
    exitSignal: context.exitSignal,
    digression,
    gives: isSure || givesArgument(turn),
    corrects,
    judged: turn.judgedMove,
  });
  // What was done with the old value stands: the new one would make the way here untrue.
  const refused = navigation.moves.filter(({ kind, taken }) => kind === "return" && !taken);
  const names = new Set(refused.map(({ id }) => id));
  const learnt = withFields(
    turn.state,
    kept.filter(({ name }) => !names.has(name)),
  );
  const state = arrivedAt(learnt, navigation, bundle);
  return { navigation, state, known: knownAt(turn.known, state, navigation, bundle) };
}

function given(turn: Pick<Turn, Needs>, speaksOfElse: boolean): GivenFields {
  const { context, extracted, known, profile } = turn;
  return givenFields({ found: context.fields, extracted, known, profile }, speaksOfElse);
}

/** A rule for everywhere answers this message: it may have nothing to do with the scenario. */
function digresses(turn: Pick<Turn, Needs>): boolean {
  const { matched, bundle } = turn;
  if (given(turn, true).isSure || givesArgument(turn)) return false;
  return matched.some((rule) => isGlobal(rule) && !appliesUnasked(rule) && speaks(rule, bundle));
}

/** The customer gives what a tool waits for. */
function givesArgument({ state, context }: Pick<Turn, "state" | "context">): boolean {
  return state.awaited?.for.case === "argument" && context.entities.length > 0;
}

function speaks(rule: Rule, bundle: CompiledBundle): boolean {
  return (
    rule.action !== "" ||
    rule.toolIds.length > 0 ||
    rule.templateIds.some((id) => bundle.templatesById.has(id))
  );
}

/**
 * Whether a score is further than the lead behind that of a rule which applies everywhere and answers:
 * the message is then about that. A constraint says how to speak of something, not what is meant.
 */
function behindRules({
  rules,
  matched,
  bundle,
}: Pick<Turn, Needs>): (score: MatchScore) => boolean {
  const answering = new Set(
    matched.filter(
      (rule) =>
        isGlobal(rule) && !rule.hardConstraint && !appliesUnasked(rule) && speaks(rule, bundle),
    ),
  );
  const best = Math.max(
    0,
    ...rules.filter(({ rule }) => answering.has(rule)).map(({ scores }) => scores.hybrid),
  );
  return ({ hybrid }) => hybrid < best - bundle.settings.matching.lead;
}

function entries(
  { scenarios, relations, bundle }: Pick<Turn, "scenarios" | "relations" | "bundle">,
  isBehind: (score: MatchScore) => boolean,
): readonly EntryScore[] {
  const added = new Set(relations.scenariosAdded);
  const scored = scenarios
    .filter(({ selected, scenario }) => selected && !added.has(scenario.id))
    .map(({ scenario, scores }) => ({
      scenarioId: scenario.id,
      score: scores.match,
      outdone: isBehind(scores),
    }));
  const entailed = [...added]
    .filter((id) => bundle.scenariosById.has(id))
    .map((scenarioId) => ({ scenarioId, score: 1, entailed: true }) as const);
  return [...entailed, ...scored];
}

/** Scenarios that could start by what is said, but not by what they depend on. */
function unable({ scenarios, relations, applied, bundle, state }: Pick<Turn, Needs>) {
  const { scenarioId } = placeOf(state);
  const ids = scenarios.filter(({ selected }) => selected).map(({ scenario }) => scenario.id);
  const asked = [...new Set([...ids, ...relations.scenariosAdded])].filter(
    (id) => id !== scenarioId,
  );
  const active = new Set([...applied.map(({ id }) => id), ...(scenarioId ? [scenarioId] : [])]);
  return unfounded(asked, bundle.relations, active);
}

/** The rules of the place that was come to: others come in, and those of a scenario that was left go. */
function inScope(turn: Pick<Turn, Needs>, at: Moved) {
  const arrivals = newlyInScope({ ...turn, ...at });
  const place = placeOf(at.state);
  const isElsewhere = placeOf(turn.state).scenarioId !== place.scenarioId;
  const isLeft = (rule: Rule) =>
    isElsewhere && !isGlobal(rule) && rule.scenarioId !== place.scenarioId;
  const record = at.navigation.moves.length === 0 ? { skipped: "no scenario in question" } : {};
  // A scenario that was entered or left stands in relations, too.
  if (arrivals.length === 0 && !isElsewhere) {
    const { rules, matched, applied, relations } = turn;
    return { ...at, rules, matched, applied, relations, record };
  }
  const rules = turn.rules.map((each) => {
    if (arrivals.includes(each))
      return { ...each, eliminatedBy: "", reason: "came into scope with the step", distance: 0 };
    return isIn(each) && isLeft(each.rule)
      ? out(each, "scope", "the session has left its scope")
      : each;
  });
  const matched = [
    ...turn.matched.filter((rule) => !isLeft(rule)),
    ...arrivals.map(({ rule }) => rule),
  ];
  const { record: related_, ...changed } = related(matched, { ...turn, state: at.state, rules });
  return { ...at, ...changed, matched, record: { ...record, facts: related_.facts ?? {} } };
}

/** Rules of the new place whose condition the message meets, or that need none. */
function newlyInScope(
  turn: Pick<Turn, Needs> & { readonly navigation: Navigation },
): readonly RuleCandidate[] {
  const { state, bundle, known, rules, navigation, turnNumber } = turn;
  if (navigation.entered.length === 0) return [];
  const bindings = bindingsOf(known);
  const question = {
    place: placeOf(state),
    turn: turnNumber,
    fires: state.ruleFires,
    appliedOnce: new Set(state.appliedRuleIds),
    judged: false,
    holds: (guard: string) => bundle.expressions.evaluate(guard, bindings),
  };
  const { match_threshold } = bundle.settings.matching;
  return rules.filter(
    ({ rule, eliminatedBy, scores, holds }) =>
      eliminatedBy === "scope" &&
      exclusionOf(rule, question) === undefined &&
      (appliesUnasked(rule) || (holds ?? scores.match >= match_threshold)),
  );
}
