import type { Rule } from "@soldier/proto/config/v1/rule";
import type { FieldDefinition } from "@soldier/proto/config/v1/tool";
import type { Tool } from "@soldier/proto/config/v1/tool";
import type { MatchScore } from "@soldier/retrieval/match-index";
import { isIn, type RuleCandidate, type ScenarioCandidate } from "../domain/candidates.ts";
import type { CompiledScenario, Edge } from "../domain/compiled-bundle.ts";
import { edgeScores, isAmbiguous, isImplausible } from "../domain/edge-scores.ts";
import { isCertain, scoreOf } from "../domain/rule-scores.ts";
import { appliesUnasked } from "../domain/rule-filters.ts";
import { placeOf } from "../domain/turn-values.ts";
import type { TurnSettings } from "../domain/turn-settings.ts";
import { toolsInQuestion } from "./tool-proposals.ts";
import type { Turn } from "./turn.ts";

/** What a model can be asked about a message. */
export interface Case {
  readonly rules: readonly RuleCandidate[];
  readonly edges: readonly Edge[];
  readonly scenarios: readonly ScenarioCandidate[];
  /** Fields that the scenario collects: those that nobody knows yet, then those that may be corrected. */
  readonly fields: readonly Pick<FieldDefinition, "name" | "extractionHint" | "label">[];
  /** Tools that may run in this turn and for which something is left to say. */
  readonly tools: readonly Tool[];
  /** Rules that may apply, whoever decides it: their actions may say what an argument is to be. */
  readonly guidance: readonly Rule[];
  /** The hybrid score of the best explanation of the message: a rule, an edge or an entry. */
  readonly best: number;
  /** What the scores leave open. */
  readonly open: { readonly rules: boolean; readonly scenario: boolean; readonly tools: boolean };
}

export type CaseNeeds =
  | "incoming"
  | "bundle"
  | "state"
  | "turnNumber"
  | "history"
  | "context"
  | "profile"
  | "known"
  | "scenarios";

/** What there is to judge, and what of it the scores have decided already. */
export function caseOf(candidates: readonly RuleCandidate[], turn: Pick<Turn, CaseNeeds>): Case {
  const { bundle, state, incoming, context } = turn;
  const { settings } = bundle;
  const place = placeOf(state);
  const home = bundle.scenariosById.get(place.scenarioId);
  const edgeScore = edgeScores(bundle, incoming.text, context);
  const edges =
    home?.edges.filter(
      ({ fromStepId, transition }) => fromStepId === place.stepId && transition.condition !== "",
    ) ?? [];
  const scenarios = turn.scenarios.filter(
    ({ selected, scenario }) =>
      selected && scenario.id !== place.scenarioId && scenario.entryCondition !== "",
  );
  const { transition_threshold, entry_threshold, margin } = settings.navigation;
  const best = Math.max(
    0,
    givenField(home, context) ? sureSum(settings.matching) : 0,
    ...candidates.filter(isIn).map(({ scores }) => scores.hybrid),
    ...edges.map(edgeScore).flatMap(above(transition_threshold)),
    // In a scenario another one explains a message only when it clearly begins it.
    ...scenarios
      .map(({ scores }) => scores)
      .flatMap(above(home ? entry_threshold + margin : entry_threshold)),
  );
  const certain = (each: RuleCandidate) => isIn(each) && isCertain(each, best, settings);
  const unsettled = candidates.filter(
    (each) =>
      isIn(each) && each.judge === undefined && !certain(each) && !appliesUnasked(each.rule),
  );
  const fields = fieldsInQuestion(home, scenarios, turn);
  const step = home?.steps.get(place.stepId);
  const tools = toolsInQuestion(
    candidates.filter(isIn).map(({ rule }) => rule),
    { toolIds: [...(step?.toolIds ?? []), ...edges.flatMap((edge) => toolsBehind(edge, home))] },
    turn,
  );
  const wantsTool = new Set(
    toolsInQuestion(
      candidates.filter(certain).map(({ rule }) => rule),
      undefined,
      turn,
    ).map(({ id }) => id),
  );
  const { match_threshold } = settings.matching;
  const likely = unsettled.some((each) => scoreOf(each) >= match_threshold);
  // Nothing near a match may only mean that it was put in other words: a model can tell.
  const rules = [...unsettled, ...lingering(candidates, turn)];
  const unsure = !candidates.some(certain) && rules.length > 0;
  const ways = edges.map((edge) => edgeScore(edge).match);
  const beginnings = scenarios.map(({ scores }) => scores.match);
  const ambiguous = isAmbiguous(ways, beginnings, settings);
  // The same of the scenario, where nothing else says what the message is about.
  const explained = candidates.some(certain) || givenField(home, context) || context.exitSignal > 0;
  const lost = !explained && isImplausible(ways, home ? [] : beginnings, settings);
  // What was taken for an answer as it stands may give more than what was asked for.
  const unknown = fields.filter(({ name }) => isUnknown(name, turn));
  const found = new Set(
    context.fields
      .filter(({ extractor }) => extractor !== "answer" || unknown.length === 1)
      .map(({ name }) => name),
  );
  const asked = step?.collects.some(
    (name) => !found.has(name) && unknown.some((field) => field.name === name),
  );
  return {
    rules: [...rules, ...(home ? [] : coming(candidates, scenarios))],
    edges,
    scenarios,
    fields,
    tools,
    guidance: candidates.filter(isIn).map(({ rule }) => rule),
    best,
    open: {
      rules: likely || unsure,
      scenario: ambiguous || lost || (asked ?? false),
      tools: tools.some(({ id }) => wantsTool.has(id)),
    },
  };
}

function above(threshold: number) {
  return ({ match, hybrid }: MatchScore) => (match >= threshold ? [hybrid] : []);
}

const lingeringMax = 5;

/** Rules of the last turn that the words of this message do not recall, though its sense may. */
function lingering(
  candidates: readonly RuleCandidate[],
  { history }: Pick<Turn, "history">,
): readonly RuleCandidate[] {
  const before = new Set(history.at(-1)?.rules);
  return candidates
    .filter(
      ({ rule, eliminatedBy }) =>
        eliminatedBy === "selection" && before.has(rule.name) && rule.condition !== "",
    )
    .slice(0, lingeringMax);
}

/** The message has what the scenario collects, by the field's own pattern: that may be all it means. */
function givenField(
  home: CompiledScenario | undefined,
  { fields }: Pick<Turn["context"], "fields">,
): boolean {
  const collected = new Set(home?.scenario.steps.flatMap(({ collects }) => collects));
  return fields.some(({ name, extractor }) => extractor === "pattern" && collected.has(name));
}

/** The weighted sum at which a match is certain. */
function sureSum({ certain_threshold: sure, midpoint, slope }: TurnSettings["matching"]): number {
  if (slope === 0 || sure <= 0 || sure >= 1) return sure;
  return midpoint + Math.log(sure / (1 - sure)) / slope;
}

const comingMax = 10;

/** Rules of scenarios that this message may begin: their conditions are about the same message. */
function coming(
  candidates: readonly RuleCandidate[],
  entries: readonly ScenarioCandidate[],
): readonly RuleCandidate[] {
  const ids = new Set(entries.map(({ scenario }) => scenario.id));
  return candidates
    .filter(
      ({ rule, eliminatedBy }) =>
        eliminatedBy === "scope" && ids.has(rule.scenarioId) && rule.condition !== "",
    )
    .toSorted((a, b) => b.scores.match - a.scores.match)
    .slice(0, comingMax);
}

function toolsBehind(edge: Edge, home: CompiledScenario | undefined): readonly string[] {
  return home?.steps.get(edge.toStepId)?.toolIds ?? [];
}

const fieldsMax = 30;

/** Of the scenario that the session is in, else of those that may begin. */
function fieldsInQuestion(
  home: CompiledScenario | undefined,
  entries: readonly ScenarioCandidate[],
  { bundle, known }: Pick<Turn, "bundle" | "known">,
): Case["fields"] {
  const scenarios = home ? [home.scenario] : entries.map(({ scenario }) => scenario);
  const collected = scenarios.flatMap(({ steps }) => steps.flatMap(({ collects }) => collects));
  const names = [...new Set(collected)];
  // What the conversation gave before may be given anew, and the way is then decided again.
  const given = home ? names.filter((name) => known.fields[name] !== undefined) : [];
  return [...names.filter((name) => isUnknown(name, { known })), ...given]
    .slice(0, fieldsMax)
    .map((name) => bundle.fields.get(name) ?? { name, label: "", extractionHint: "" });
}

function isUnknown(name: string, { known }: Pick<Turn, "known">): boolean {
  return known.fields[name] === undefined && known.profile[name] === undefined;
}
