import type { Fact } from "./facts.ts";

/** A fact on the way from an entity. */
export interface Edge<F extends Fact> {
  readonly fact: F;
  /** Facts between the entity where the walk began and this one's far end, itself counted: 1 or more. */
  readonly depth: number;
}

export interface WalkLimits {
  readonly depthMax: number;
  readonly edgesMax: number;
  /** The walk ends when it has come to all of these; undefined: it goes on. */
  readonly wanted?: ReadonlySet<string>;
}

export interface Walk<F extends Fact> {
  /** The nearest first. */
  readonly edges: readonly Edge<F>[];
  /** The entities that were come to, with how many facts lie between: real shortest ways. */
  readonly distances: ReadonlyMap<string, number>;
}

/**
 * Facts between an entity and any of the frontier, without those that touch what lies behind it; at most
 * `limit`, the last confirmed first.
 */
export type FactsAround<F extends Fact> = (
  frontier: readonly string[],
  behind: readonly string[],
  limit: number,
) => Promise<readonly F[]>;

/**
 * Walks breadth first from an entity over facts between entities, in either direction. Everything that is
 * a fact away is come to before anything that is two, so that each distance is the shortest.
 */
export async function walkFrom<F extends Fact>(
  start: string,
  factsAround: FactsAround<F>,
  { depthMax, edgesMax, wanted }: WalkLimits,
): Promise<Walk<F>> {
  const edges: Edge<F>[] = [];
  const distances = new Map([[start, 0]]);
  const missing = new Set(wanted);
  missing.delete(start);
  let behind: readonly string[] = [];
  let frontier: readonly string[] = [start];
  for (let depth = 1; depth <= depthMax && frontier.length > 0; depth++) {
    if (wanted && missing.size === 0) break;
    const room = edgesMax - edges.length;
    if (room <= 0) break;
    const reached = new Set<string>();
    for (const fact of await factsAround(frontier, behind, room)) {
      edges.push({ fact, depth });
      for (const end of endsOf(fact)) {
        if (distances.has(end)) continue;
        distances.set(end, depth);
        reached.add(end);
        missing.delete(end);
      }
    }
    // What touches this frontier is known now; only its own neighbours can touch it again.
    behind = frontier;
    frontier = [...reached];
  }
  return { edges, distances };
}

/** The entities that a fact is between. */
export function endsOf({ subject, value }: Pick<Fact, "subject" | "value">): readonly string[] {
  return value.kind === "entity" ? [subject, value.id] : [subject];
}
