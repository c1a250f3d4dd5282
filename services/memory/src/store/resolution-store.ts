import type { Extraction } from "../domain/finding.ts";
import type { Episode } from "../domain/episode.ts";
import type { Candidate } from "../domain/entity-matching.ts";
import type { Known } from "../domain/resolution.ts";

export interface GroupKey {
  readonly tenantId: string;
  readonly groupId: string;
}

export interface GroupName extends GroupKey {
  readonly type: "organisation" | "product";
  /** Any of an entity's. */
  readonly name: string;
}

/** What is read for extracting and resolving, of every tenant. A tenant never sees another's. */
export interface ResolutionStore {
  /** Undefined when the episode was not extracted. */
  extraction(tenantId: string, episodeId: string): Promise<Extraction | undefined>;
  /** Names of organisations and products, of each of the groups. */
  names(groups: readonly GroupKey[]): Promise<readonly GroupName[]>;
  /** Names of the predicates that the tenant has declared. */
  predicates(tenantId: string): Promise<readonly string[]>;
  /** Entities of a group, with who stands for them; at most 10,000. */
  entities(tenantId: string, groupId: string): Promise<readonly Candidate[]>;
  /** Facts about the customer are read only for corrections. */
  known(episode: Episode, correcting: boolean): Promise<Known>;
  /** Whether something that was said earlier in the session is still to be read. */
  earlierWaits(episode: Episode): Promise<boolean>;
  /**
   * Enters episodes for a stage again: those of a group, or of all; for "embedded" those that lack a
   * vector of a model that is used, or is to be used next. They go after what is new. Resolves with how
   * many did not wait for it before.
   */
  reprocess(
    tenantId: string,
    stage: "embedded" | "extracted",
    groupId: string | undefined,
  ): Promise<number>;
}
