import { RelationKind } from "@soldier/proto/config/v1/rule";
import { type End, type IndexedRelation, rulesOf } from "./relation-index.ts";

export interface FixpointQuestion {
  readonly relations: readonly IndexedRelation[];
  /** Rules and scenarios that could be active, in the order in which ties are broken. */
  readonly universe: readonly string[];
  /** Those that need no entailment. */
  readonly given: ReadonlySet<string>;
  readonly scenarios: ReadonlySet<string>;
}

/** Where everything stands; each set is within the one before it: supported, present, active. */
export interface Standing {
  /** Applies by itself, or is brought in by something active. */
  readonly supported: ReadonlySet<string>;
  /** ... and its dependencies are active. */
  readonly present: ReadonlySet<string>;
  /** ... and nothing present overrides it. */
  readonly active: ReadonlySet<string>;
}

/**
 * The well-founded answer of the relations, by alternating between the least that must stand and the
 * most that can: what overrides what is only settled from what is settled already, so the order of
 * relations makes no difference. What that leaves open is settled by an account that agrees with
 * itself, if there is one. Contradictions that remain (a brings in b, b overrides a) are broken one at a
 * time in favour of what was brought in: whoever wrote that meant a replacement.
 */
export function fixpoint(question: FixpointQuestion): Standing {
  const forced = new Set<string>();
  for (;;) {
    let must = leastStanding(question, new Set(question.universe), forced);
    let can = leastStanding(question, must.present, forced);
    for (;;) {
      const nextMust = leastStanding(question, can.present, forced);
      const nextCan = leastStanding(question, nextMust.present, forced);
      const settled =
        nextMust.present.size === must.present.size && nextCan.present.size === can.present.size;
      must = nextMust;
      can = nextCan;
      if (settled) break;
    }
    const { universe, given, relations } = question;
    const open = universe.filter(
      (id) => can.active.has(id) && !must.active.has(id) && !forced.has(id),
    );
    if (open.length === 0) return must;
    const account = accountOf(question, must, can, forced);
    if (account) return account;
    const { supported } = must;
    const next =
      open.find((id) => !given.has(id) && entailed(id, relations, supported)) ??
      open.find((id) => !given.has(id)) ??
      open[0];
    if (next === undefined) return must;
    forced.add(next);
  }
}

/** More open questions than that are not tried in all their combinations. */
const triedTogetherMax = 8;

/** A standing that comes out of assuming just itself; what was brought in is assumed first. */
function accountOf(
  question: FixpointQuestion,
  must: Standing,
  can: Standing,
  forced: ReadonlySet<string>,
): Standing | undefined {
  const { universe, given } = question;
  const open = universe
    .filter((id) => can.present.has(id) && !must.present.has(id))
    .toSorted((a, b) => Number(given.has(a)) - Number(given.has(b)));
  if (open.length > triedTogetherMax) return undefined;
  for (let chosen = 2 ** open.length - 1; chosen >= 0; chosen--) {
    const isChosen = (_id: string, i: number) => (chosen >> (open.length - 1 - i)) % 2 === 1;
    const assumed = new Set([...must.present, ...open.filter(isChosen)]);
    const standing = leastStanding(question, assumed, forced);
    const agrees = standing.present.size === assumed.size;
    if (agrees && [...standing.present].every((id) => assumed.has(id))) return standing;
  }
  return undefined;
}

/** The least standing when exactly these are taken to be present for the purpose of overriding. */
function leastStanding(
  { relations, universe, given, scenarios }: FixpointQuestion,
  assumed: ReadonlySet<string>,
  forced: ReadonlySet<string>,
): Standing {
  const supported = new Set(forced);
  const present = new Set(forced);
  const active = new Set(forced);
  const overridden = new Set(
    universe.filter((id) => relations.some((relation) => overrides(relation, id, assumed))),
  );
  for (let before = -1; before !== supported.size + present.size + active.size;) {
    before = supported.size + present.size + active.size;
    for (const id of universe) {
      if (!supported.has(id) && (given.has(id) || entailed(id, relations, active)))
        supported.add(id);
      if (!present.has(id) && supported.has(id) && founded(id, relations, active, scenarios))
        present.add(id);
      if (!active.has(id) && present.has(id) && !overridden.has(id)) active.add(id);
    }
  }
  return { supported, present, active };
}

function overrides(relation: IndexedRelation, id: string, present: ReadonlySet<string>): boolean {
  if (relation.kind !== RelationKind.OVERRIDES || !relation.to.some((end) => covers(end, id)))
    return false;
  const { from } = relation;
  if (from.id === id) return false;
  if (from.kind !== "group" || !from.ruleIds.includes(id)) return groupActive(from, present);
  // A group does not act on its own member by that member alone.
  return !from.all && from.ruleIds.some((member) => member !== id && present.has(member));
}

function entailed(
  id: string,
  relations: readonly IndexedRelation[],
  active: ReadonlySet<string>,
): boolean {
  return relations.some(
    ({ kind, from, to }) =>
      kind === RelationKind.ENTAILS &&
      to.some((end) => (end.kind === "scenario" ? end.id === id : covers(end, id))) &&
      groupActive(from, active),
  );
}

/** Whether all that it depends on is active, the scenario that it is in included. */
function founded(
  id: string,
  relations: readonly IndexedRelation[],
  active: ReadonlySet<string>,
  scenarios: ReadonlySet<string>,
): boolean {
  return relations.every(({ kind, from, to }) => {
    const ends = [from, ...to];
    const home = ends.find((end) => end.kind === "scenario" && end.ruleIds.includes(id));
    if (home && scenarios.has(home.id) && !active.has(home.id)) return false;
    if (!covers(from, id)) return true;
    if (kind === RelationKind.DEPENDS_ALL) return to.every((end) => groupActive(end, active));
    if (kind === RelationKind.DEPENDS_ANY) return to.some((end) => groupActive(end, active));
    return true;
  });
}

function covers(end: End, id: string): boolean {
  return end.id === id || (end.kind === "group" && rulesOf(end).includes(id));
}

/** Whether an end counts as active when these are. */
export function groupActive(end: End, active: ReadonlySet<string>): boolean {
  if (end.kind !== "group") return active.has(end.id);
  if (end.ruleIds.length === 0) return false;
  return end.all
    ? end.ruleIds.every((id) => active.has(id))
    : end.ruleIds.some((id) => active.has(id));
}
