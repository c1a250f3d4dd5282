/** A named thing. */
export interface Entity {
  readonly id: string;
  readonly groupId: string;
  readonly type: string;
  readonly name: string;
  readonly aliases: readonly string[];
}

/** An entity that is about to be stored, or named anew. */
export interface NewEntity extends Entity {
  /** Episodes that speak of it, beside those of its claims: added to those that are known. */
  readonly mentionedIn?: readonly string[];
}

/** An entity as stored. */
export interface StoredEntity extends Entity {
  /** Who stands for it now: itself unless it was merged. */
  readonly canonicalId: string;
  readonly recordedAt: Date;
}

/** A saying that two entities are one. */
export interface EntityMerge {
  readonly id: string;
  readonly groupId: string;
  readonly from: string;
  readonly to: string;
  readonly by: string;
  readonly evidence: string;
  readonly recordedAt: Date;
  readonly undoneAt: Date | undefined;
}
