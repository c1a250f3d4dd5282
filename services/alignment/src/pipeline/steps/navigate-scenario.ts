import type { Rule } from "@soldier/proto/config/v1/rule";
import type { SessionState } from "@soldier/proto/session/v1/session";
import type { RuleCandidate } from "../../domain/candidates.ts";
import type { CompiledBundle } from "../../domain/compiled-bundle.ts";
import { edgeScores } from "../../domain/edge-scores.ts";
import { bindingsOf } from "../../domain/expressions.ts";
import type { FoundField } from "../../domain/fields.ts";
import { arrivedAt, groundOf, withFields } from "../../domain/navigating.ts";
import { navigate } from "../../domain/navigation.ts";
import type { Navigation } from "../../domain/navigation-question.ts";
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
  | "applied"
  | "relations";

type Adds = "state" | "known" | "navigation" | "rules" | "applied" | "relations";

/** Moves the session through its scenario, and lets in the rules of the place that it comes to. */
export function navigateScenario(): Step<Needs, Adds> {
  return {
    name: "navigate-scenario",
    async run(turn) {
      const { bundle, incoming, context, relations } = turn;
      const digression = digresses(turn);
      const gathered = withFields(turn.state, kept(context.fields, digression));
      const known = movedTo(turn.known, gathered, bundle);
      const scoreOf = edgeScores(bundle, incoming.text, context);
      const navigation = navigate({
        ...groundOf({ ...turn, state: gathered, known }),
        edgeScore: (edge) => scoreOf(edge).match,
        entries: entries(turn),
        blocked: new Set(relations.scenariosDropped),
        exitSignal: context.exitSignal,
        digression,
        judged: turn.judgedMove,
      });
      const state = arrivedAt(gathered, navigation, bundle);
      const moved = {
        state,
        navigation,
        known: { ...movedTo(known, state, bundle), results: resultsAt(state, known) },
      };
      const arrivals = newlyInScope({ ...turn, ...moved });
      if (arrivals.length === 0)
        return {
          ...moved,
          rules: turn.rules,
          applied: turn.applied,
          relations,
          record: navigation.moves.length === 0 ? { skipped: "no scenario in question" } : {},
        };
      const rules = turn.rules.map((each) =>
        arrivals.includes(each)
          ? { ...each, eliminatedBy: "", reason: "came into scope with the step", distance: 0 }
          : each,
      );
      const matched = [...turn.matched, ...arrivals.map(({ rule }) => rule)];
      const { record, ...changed } = related(matched, { bundle, state, rules });
      return { ...moved, ...changed, record: { facts: record.facts ?? {} } };
    },
    off: ({ state, known, rules, applied, relations }) => ({
      state,
      known,
      rules,
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

/** A rule for everywhere answers this message: it may have nothing to do with the scenario. */
function digresses({ matched, bundle, context, state }: Pick<Turn, Needs>): boolean {
  if (context.fields.some(({ confidence }) => confidence >= certainField)) return false;
  // The customer gives what a tool waits for.
  if (state.awaited?.for.case === "argument" && context.entities.length > 0) return false;
  return matched.some((rule) => isGlobal(rule) && !appliesUnasked(rule) && speaks(rule, bundle));
}

function speaks(rule: Rule, bundle: CompiledBundle): boolean {
  return (
    rule.action !== "" ||
    rule.toolIds.length > 0 ||
    rule.templateIds.some((id) => bundle.templatesById.has(id))
  );
}

/** Found by its own form rather than taken for the answer to a question. */
const certainField = 0.9;

function kept(found: readonly FoundField[], digression: boolean): readonly FoundField[] {
  return digression ? found.filter(({ confidence }) => confidence >= certainField) : found;
}

function entries({
  scenarios,
  relations,
  bundle,
}: Pick<Turn, "scenarios" | "relations" | "bundle">) {
  const added = new Set(relations.scenariosAdded);
  const scored = scenarios
    .filter(({ selected, scenario }) => selected && !added.has(scenario.id))
    .map(({ scenario, scores }) => ({ scenarioId: scenario.id, score: scores.match }));
  const entailed = [...added]
    .filter((id) => bundle.scenariosById.has(id))
    .map((scenarioId) => ({ scenarioId, score: 1 }));
  return [...entailed, ...scored];
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
    ({ rule, eliminatedBy, scores }) =>
      eliminatedBy === "scope" &&
      exclusionOf(rule, question) === undefined &&
      (appliesUnasked(rule) || scores.match >= match_threshold),
  );
}

/** What this turn has learnt of results stays, unless the step that was come to begins anew. */
function resultsAt(state: SessionState, known: Turn["known"]): Turn["known"]["results"] {
  return Object.fromEntries(
    Object.entries(known.results).filter(([name]) => state.toolResults[name] !== undefined),
  );
}
