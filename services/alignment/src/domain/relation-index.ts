import type { Bundle } from "@soldier/proto/config/v1/bundle";
import {
  GroupMode,
  type Relation,
  type RelationEnd,
  type RelationKind,
  RelationKindSchema,
  type Rule,
  type RuleGroup,
} from "@soldier/proto/config/v1/rule";
import { enumName } from "./enum-name.ts";
import { isGlobal } from "./scope.ts";

/** One end of a relation, with its members resolved. */
export type End =
  | { readonly kind: "rule"; readonly id: string }
  | {
      readonly kind: "group";
      readonly id: string;
      readonly all: boolean;
      readonly ruleIds: readonly string[];
    }
  /** `ruleIds` are the rules that only apply inside it. */
  | { readonly kind: "scenario"; readonly id: string; readonly ruleIds: readonly string[] };

export interface IndexedRelation {
  readonly id: string;
  readonly kind: RelationKind;
  readonly from: End;
  readonly to: readonly End[];
}

/** The relations of a bundle, found by the rules and scenarios that they speak of. */
export interface RelationIndex {
  /** Each relation that speaks of any of these, once, in the order of the bundle. */
  about(ids: Iterable<string>): readonly IndexedRelation[];
}

export function relationIndex(
  bundle: Pick<Bundle, "relations" | "groups" | "rules">,
): RelationIndex {
  const groups = new Map(bundle.groups.map((group) => [group.id, group]));
  const relations = bundle.relations.map((relation) => indexed(relation, groups, bundle.rules));
  const places = new Map<string, number[]>();
  relations.forEach((relation, place) => {
    for (const id of new Set([relation.from, ...relation.to].flatMap(idsOf))) {
      const known = places.get(id);
      if (known) known.push(place);
      else places.set(id, [place]);
    }
  });
  return {
    about(ids) {
      const found = new Set<number>();
      for (const id of ids) for (const place of places.get(id) ?? []) found.add(place);
      return [...found].toSorted((a, b) => a - b).flatMap((place) => relations[place] ?? []);
    },
  };
}

/** The rules that stand behind an end. */
export function rulesOf(end: End): readonly string[] {
  return end.kind === "rule" ? [end.id] : end.ruleIds;
}

export function nameOfEnd(end: End): string {
  return `${end.kind}:${end.id}`;
}

/** As in the turn record: "overrides", "depends_all" … */
export function nameOfKind(kind: RelationKind): string {
  return enumName(RelationKindSchema, kind).toLowerCase();
}

function idsOf(end: End): readonly string[] {
  return end.kind === "rule" ? [end.id] : [end.id, ...end.ruleIds];
}

function indexed(
  relation: Relation,
  groups: ReadonlyMap<string, RuleGroup>,
  rules: readonly Rule[],
): IndexedRelation {
  const end = (given: RelationEnd): End => {
    const { case: kind, value: id = "" } = given.target;
    if (kind === "groupId") {
      const group = groups.get(id);
      return {
        kind: "group",
        id,
        all: group?.mode === GroupMode.ALL,
        ruleIds: group?.ruleIds ?? [],
      };
    }
    if (kind === "scenarioId") {
      const inside = rules.filter((rule) => !isGlobal(rule) && rule.scenarioId === id);
      return { kind: "scenario", id, ruleIds: inside.map((rule) => rule.id) };
    }
    return { kind: "rule", id };
  };
  if (!relation.from) throw new Error(`relation ${relation.id} has no source`);
  return {
    id: relation.id,
    kind: relation.kind,
    from: end(relation.from),
    to: relation.to.map(end),
  };
}
