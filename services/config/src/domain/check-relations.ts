import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { type Relation, type RelationEnd, RelationKind } from "@soldier/proto/config/v1/rule";
import { type DraftIndex, placeOf } from "./draft-index.ts";
import { endKinds } from "./kinds.ts";
import type { Problem } from "./problem.ts";

/** A way from one node to the next, and the relation that makes it (none inside a group). */
interface Edge {
  readonly to: string;
  readonly relation?: Relation;
}

type Graph = ReadonlyMap<string, readonly Edge[]>;

/** More cycles are not told: each one mended shows the next. */
const cyclesMax = 20;

/**
 * Refuses circles of overrides and circles of dependencies, each named with all its members, and
 * choices among fewer than two.
 */
export function checkRelations(draft: AgentDocument, index: DraftIndex): readonly Problem[] {
  const overrides = graphOf(draft, [RelationKind.OVERRIDES]);
  const depends = graphOf(draft, [RelationKind.DEPENDS_ALL, RelationKind.DEPENDS_ANY]);
  return [
    ...cyclesIn(overrides).map((cycle) => told("overrides", cycle, index)),
    ...cyclesIn(depends).map((cycle) => told("dependencies", cycle, index)),
    ...draft.relations.flatMap((relation) => choiceProblem(relation, draft)),
  ];
}

/** A customer can only be asked which of several is meant. */
function choiceProblem(relation: Relation, { ruleGroups }: AgentDocument): readonly Problem[] {
  if (relation.kind !== RelationKind.DISAMBIGUATES) return [];
  const options = relation.to.flatMap(({ target }) => {
    if (target.case !== "groupId") return target.value ?? [];
    return ruleGroups.find(({ id }) => id === target.value)?.ruleIds ?? [];
  });
  if (new Set(options).size >= 2) return [];
  return [
    {
      field: `${placeOf("relations", relation)}.to`,
      reason: "DISAMBIGUATION_NEEDS_TWO_TARGETS",
      description: "names one rule; a customer is asked which of at least two is meant",
    },
  ];
}

/**
 * Nodes are rules and scenarios. A group has two nodes, one that leads to its members and one that
 * its members lead to: a relation of a group is a relation of each member, without an edge for each
 * pair of them.
 */
function graphOf(draft: AgentDocument, wanted: readonly RelationKind[]): Graph {
  const graph = new Map<string, Edge[]>();
  const add = (from: string, edge: Edge) => {
    const edges = graph.get(from);
    if (edges) edges.push(edge);
    else graph.set(from, [edge]);
  };
  for (const group of draft.ruleGroups)
    for (const member of group.ruleIds) {
      add(`into ${group.id}`, { to: member });
      add(member, { to: `out of ${group.id}` });
    }
  for (const relation of draft.relations) {
    const from = nodeOf(relation.from, "out of");
    if (!wanted.includes(relation.kind) || from === undefined) continue;
    for (const end of relation.to) {
      const to = nodeOf(end, "into");
      if (to !== undefined) add(from, { to, relation });
    }
  }
  return graph;
}

function nodeOf(end: RelationEnd | undefined, side: "into" | "out of"): string | undefined {
  if (!end?.target.case) return undefined;
  return end.target.case === "groupId" ? `${side} ${end.target.value}` : end.target.value;
}

/** Circles found by walking depth first; without recursion, since chains may be thousands long. */
function cyclesIn(graph: Graph): readonly (readonly Edge[])[] {
  const cycles: Edge[][] = [];
  const done = new Set<string>();
  for (const start of graph.keys()) {
    const path: { readonly edge: Edge; readonly onward: Iterator<Edge> }[] = [];
    const position = new Map<string, number>();
    const enter = (edge: Edge) => {
      position.set(edge.to, path.length);
      path.push({ edge, onward: (graph.get(edge.to) ?? []).values() });
    };
    if (!done.has(start)) enter({ to: start });
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const { value: edge } = top.onward.next();
      if (!edge) {
        path.pop();
        position.delete(top.edge.to);
        done.add(top.edge.to);
      } else if (position.has(edge.to)) {
        const from = position.get(edge.to) ?? 0;
        cycles.push([...path.slice(from + 1).map((visit) => visit.edge), edge]);
        if (cycles.length === cyclesMax) return cycles;
      } else if (!done.has(edge.to)) enter(edge);
    }
  }
  return cycles;
}

function told(what: string, cycle: readonly Edge[], index: DraftIndex): Problem {
  const nameOf = (id: string) =>
    (index.find(endKinds.ruleId.to, id) ?? index.find(endKinds.scenarioId.to, id))?.name;
  const names = cycle.flatMap(({ to }) => nameOf(to) ?? []);
  const relations = [...new Set(cycle.flatMap(({ relation }) => relation ?? []))];
  const [blamed] = relations;
  const circle = [names.at(-1), ...names].join(" → ");
  const through = relations.map(({ name }) => `"${name}"`).join(", ");
  return {
    field: blamed ? placeOf("relations", blamed) : "relations",
    reason: "RELATION_CYCLE",
    description: `${what} go in a circle: ${circle} (by ${through}); remove one of them`,
  };
}
