import { RelationKind } from "@soldier/proto/config/v1/rule";
import {
  type End,
  type IndexedRelation,
  nameOfEnd,
  type RelationIndex,
  rulesOf,
} from "./relation-index.ts";
import { fixpoint, groupActive, type Standing } from "./relation-fixpoint.ts";

export interface RelationQuestion {
  readonly index: RelationIndex;
  /** Rules that apply by themselves, in the order of rules. */
  readonly matched: readonly string[];
  /** Scenarios that the session is in. */
  readonly scenarios: ReadonlySet<string>;
  /** Rules that could be meant, matched or nearly: what the customer may be asked about. */
  readonly plausible: ReadonlySet<string>;
  /** Whether a rule that did not match may be brought in: it exists, is enabled, in scope. */
  readonly admits: (ruleId: string) => boolean;
  /** The one order of rules. */
  readonly compare: (a: string, b: string) => number;
}

/** One thing that a relation did. */
export interface RelationAct {
  readonly relation: IndexedRelation;
  readonly source: string;
  /** The rule or scenario that it was done to. */
  readonly target: string;
  readonly effect: "dropped" | "added" | "asked";
}

export interface RelationAnswer {
  /** The rules that apply, in the order of rules, each once. */
  readonly active: readonly string[];
  readonly acts: readonly RelationAct[];
  /** Rules that the customer is asked to choose among, and the rule that asks. */
  readonly choice: { readonly asks: string; readonly among: readonly string[] } | undefined;
  /** Scenarios that are brought in, and those that must not begin or go on speaking. */
  readonly scenariosAdded: readonly string[];
  readonly scenariosDropped: readonly string[];
}

/**
 * What applies once relations have had their say, whatever their order.
 *
 * An override acts through every rule that applies by itself or is brought in, and whose own
 * dependencies hold: also through one that is overridden in turn, so that a chain leaves only its
 * head, but not through one that did not match or that failed a dependency (what it would have
 * dropped is reinstated). Dependencies and entailments look only at what is left in the end.
 */
export function resolveRelations(question: RelationQuestion): RelationAnswer {
  const first = resolve(question, question.matched);
  const asked = ambiguities(first, question);
  if (asked.length === 0) return answer(first, question, [], undefined);

  // What is asked about waits for the answer, with all that it would have brought in or dropped.
  const waiting = new Set(asked.flatMap(({ among, unneeded }) => unneeded ?? among));
  const matched = question.matched.filter((id) => !waiting.has(id));
  const chosen = asked.find(({ unneeded }) => !unneeded);
  return answer(resolve(question, matched), question, asked, chosen);
}

/** The scenarios among these that may not start: what they depend on does not apply. */
export function unfounded(
  scenarioIds: readonly string[],
  index: RelationIndex,
  active: ReadonlySet<string>,
): readonly string[] {
  return scenarioIds.filter((id) =>
    index.about([id]).some(({ kind, from, to }) => {
      if (from.kind !== "scenario" || from.id !== id) return false;
      if (kind === RelationKind.DEPENDS_ALL) return !to.every((end) => groupActive(end, active));
      return kind === RelationKind.DEPENDS_ANY && !to.some((end) => groupActive(end, active));
    }),
  );
}

interface Resolved {
  readonly relations: readonly IndexedRelation[];
  readonly matched: ReadonlySet<string>;
  readonly standing: Standing;
}

function resolve(question: RelationQuestion, matched: readonly string[]): Resolved {
  const universe = new Set([...matched, ...question.scenarios]);
  const relations = reach(question, universe);
  const given = new Set(matched);
  const standing = fixpoint({
    relations,
    universe: [...universe].toSorted(question.compare),
    given: new Set([...given, ...question.scenarios]),
    scenarios: question.scenarios,
  });
  return { relations, matched: given, standing };
}

/** Adds to the universe all that entailments might bring in, and gives the relations in question. */
function reach(question: RelationQuestion, universe: Set<string>): readonly IndexedRelation[] {
  let relations = question.index.about(universe);
  for (let before = -1; before !== universe.size;) {
    before = universe.size;
    for (const relation of relations) {
      if (relation.kind !== RelationKind.ENTAILS) continue;
      if (!groupActive(relation.from, universe)) continue;
      for (const end of relation.to)
        for (const id of entailed(end))
          if (end.kind === "scenario" || question.admits(id)) universe.add(id);
    }
    if (before !== universe.size) relations = question.index.about(universe);
  }
  return relations;
}

function entailed(end: End): readonly string[] {
  return end.kind === "scenario" ? [end.id] : rulesOf(end);
}

interface Ambiguity {
  readonly relation: IndexedRelation;
  readonly asks: string;
  readonly among: readonly string[];
  /** Set when there is nothing to ask: the rule that asks steps aside. */
  readonly unneeded?: readonly string[];
}

function ambiguities({ relations, standing }: Resolved, question: RelationQuestion): Ambiguity[] {
  return relations.flatMap((relation) => {
    if (relation.kind !== RelationKind.DISAMBIGUATES) return [];
    const asks = rulesOf(relation.from).find((id) => standing.active.has(id));
    if (asks === undefined) return [];
    const targets = relation.to.flatMap(rulesOf);
    const clear = targets.filter((id) => standing.active.has(id));
    const among = targets.filter((id) => standing.active.has(id) || question.plausible.has(id));
    // One that applies while the others are not even plausible is what was meant.
    if (among.length >= 2) return [{ relation, asks, among: among.toSorted(question.compare) }];
    return clear.length === 1 ? [{ relation, asks, among, unneeded: [asks] }] : [];
  });
}

function answer(
  { relations, matched, standing }: Resolved,
  question: RelationQuestion,
  asked: readonly Ambiguity[],
  chosen: Ambiguity | undefined,
): RelationAnswer {
  const active = [...standing.active].filter((id) => !question.scenarios.has(id));
  const acts = relations.flatMap((relation) => actsOf(relation, matched, standing));
  const questions = asked.flatMap(({ relation, asks, among, unneeded }) =>
    unneeded
      ? unneeded.map((target) => act(relation, `rule:${among[0] ?? asks}`, target, "dropped"))
      : among.map((target) => act(relation, `rule:${asks}`, target, "asked")),
  );
  const isScenario = new Set(
    relations.flatMap(({ from, to }) =>
      [from, ...to].flatMap((end) => (end.kind === "scenario" ? [end.id] : [])),
    ),
  );
  return {
    active: active.filter((id) => !isScenario.has(id)).toSorted(question.compare),
    acts: [...acts, ...questions],
    choice: chosen && { asks: chosen.asks, among: chosen.among },
    scenariosAdded: active.filter((id) => isScenario.has(id)),
    scenariosDropped: [...isScenario].filter((id) => droppedScenario(id, relations, standing)),
  };
}

function droppedScenario(
  id: string,
  relations: readonly IndexedRelation[],
  standing: Standing,
): boolean {
  return relations.some(
    ({ kind, from, to }) =>
      kind === RelationKind.OVERRIDES &&
      to.some((end) => end.kind === "scenario" && end.id === id) &&
      groupActive(from, standing.present),
  );
}

function actsOf(
  relation: IndexedRelation,
  matched: ReadonlySet<string>,
  { active, present, supported }: Standing,
): RelationAct[] {
  const { kind, from, to } = relation;
  switch (kind) {
    case RelationKind.OVERRIDES:
      return to
        .flatMap((end) => (end.kind === "scenario" ? [end.id, ...end.ruleIds] : rulesOf(end)))
        .filter((id) => supported.has(id) && !active.has(id))
        .filter((id) => groupActive(without(from, id), present))
        .map((id) => act(relation, nameOfEnd(from), id, "dropped"));
    case RelationKind.DEPENDS_ALL:
    case RelationKind.DEPENDS_ANY: {
      const missing = to.filter((end) => !groupActive(end, active));
      if (kind === RelationKind.DEPENDS_ANY && missing.length < to.length) return [];
      return rulesOf(from)
        .filter((id) => supported.has(id) && !active.has(id) && missing.length > 0)
        .map((id) => act(relation, missing.map(nameOfEnd).join(", "), id, "dropped"));
    }
    case RelationKind.ENTAILS:
      // Not "active": what was brought in may have taken the place of its cause.
      if (!groupActive(from, supported)) return [];
      return to
        .flatMap(entailed)
        .filter((id) => active.has(id) && !matched.has(id))
        .map((id) => act(relation, nameOfEnd(from), id, "added"));
    case RelationKind.DISAMBIGUATES:
    case RelationKind.UNSPECIFIED:
    default:
      return [];
  }
}

function act(
  relation: IndexedRelation,
  source: string,
  target: string,
  effect: RelationAct["effect"],
): RelationAct {
  return { relation, source, target, effect };
}

/** A group does not act on its own member by that member alone. */
function without(end: End, id: string): End {
  if (end.kind !== "group" || !end.ruleIds.includes(id)) return end;
  return { ...end, ruleIds: end.all ? [] : end.ruleIds.filter((member) => member !== id) };
}
