import type { WalkLimits } from "../domain/graph-walk.ts";
import type { Edge } from "../domain/graph-walk.ts";
import type { StoredFact } from "./fact-store.ts";

/** A group at a point of both axes. */
export interface GraphPoint {
  readonly groupId: string;
  readonly validAt: Date;
  /** Undefined is the latest. */
  readonly recordedAt: Date | undefined;
}

export interface RankedEntity {
  readonly entityId: string;
  /** Undefined: there is no way, or none was asked for. */
  readonly distance: number | undefined;
  /** Episodes that speak of it. */
  readonly mentions: number;
}

/** Facts as the edges between entities, of every tenant. A tenant never sees another's. */
export interface GraphStore {
  /** The group of a named entity. */
  groupOf(tenantId: string, entityId: string): Promise<string | undefined>;
  /**
   * The relationships around an entity, or around what it was merged with by then: only facts that hold at
   * the point, at every hop. The nearest first.
   */
  walk(
    tenantId: string,
    point: GraphPoint,
    entityId: string,
    limits: WalkLimits,
  ): Promise<readonly Edge<StoredFact>[]>;
  /**
   * The entities by how near they are to one, what cannot be reached last, then the most mentioned first,
   * then by id. An episode mentions an entity when it says so, or when something was claimed of it there.
   */
  rank(
    tenantId: string,
    point: GraphPoint,
    entityIds: readonly string[],
    near: string | undefined,
  ): Promise<readonly RankedEntity[]>;
}
