import type { Episode } from "../domain/episode.ts";

/** What of a whole tenant may answer a question. */
export interface TenantQuestion {
  readonly model: string;
  /** Undefined when it could not be had: words alone must do. */
  readonly vector: Float32Array | undefined;
  /** As they were written. */
  readonly words: readonly string[];
  /** Only what had happened by then; undefined for everything. */
  readonly happenedBy: Date | undefined;
  /** Only what was stored by then; undefined for everything. */
  readonly recordedBy: Date | undefined;
  /** Empty for none. */
  readonly exceptSessionId: string;
  /** As many as are wanted by their vectors; fewer of those that have the words. */
  readonly wanted: number;
}

export interface TenantCandidates {
  /** Those nearest in meaning, and those that have the rarest of the words. */
  readonly episodeIds: readonly string[];
  /** Of each of the words by how many of the tenant's episodes it is had, as far as that is known. */
  readonly holders: readonly (number | "many" | "unknown")[];
  /** Among how many episodes the words were counted. */
  readonly episodesCount: number;
  /** The vectors of part of the tenant were compared: those of its latest episodes that pass the filters. */
  readonly partial: boolean;
}

/** An episode with its vector of a model, if it has one. */
export interface FoundEpisode {
  readonly episode: Episode;
  readonly vector: Float32Array | undefined;
}

/** Finds among all episodes of a tenant, where PostgreSQL can (migrations/pgvector). A tenant never sees another's. */
export interface TenantFinds {
  /** Whether it can, and if so that the vectors of the models have their index. */
  ready(): Promise<boolean>;
  candidates(tenantId: string, question: TenantQuestion): Promise<TenantCandidates>;
  /** The episodes, and what was said right before and after each in its session; those that are gone are left out. */
  withNeighbours(
    tenantId: string,
    model: string,
    episodeIds: readonly string[],
  ): Promise<readonly FoundEpisode[]>;
}
