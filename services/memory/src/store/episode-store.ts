import type { Event } from "@soldier/events/event";
import type { Episode, NewEpisode, Stage } from "../domain/episode.ts";

export interface AddedEpisode {
  readonly episode: Episode;
  /** False when the ingest key was there already: the episode is then the stored one. */
  readonly added: boolean;
}

export interface StagedEpisode {
  readonly episode: Episode;
  readonly stages: readonly Stage[];
}

export interface EpisodePage {
  /** The latest stored first. */
  readonly episodes: readonly StagedEpisode[];
  /** Where the next page begins; undefined on the last. */
  readonly next: number | undefined;
}

/** One change of a group. */
export type GroupChange =
  | { readonly kind: "episode"; readonly revision: number; readonly episode: Episode }
  | {
      readonly kind: "vector";
      readonly revision: number;
      readonly episodeId: string;
      readonly vector: Float32Array;
    };

/** What there is of a group beside episodes; of what was erased it may still be said. */
export interface HeldBeside {
  /** Facts, whether they hold or did. Undefined: none. */
  readonly hasFacts?: boolean;
  readonly hasSummaries?: boolean;
}

/** A group, the revision up to which its changes are known, 0 for none, and what is known to be beside. */
export interface KnownGroup extends HeldBeside {
  readonly groupId: string;
  readonly revision: number;
}

/** What became of a group after a known revision. */
export interface GroupNews extends HeldBeside {
  readonly groupId: string;
  /** Everything up to here is in the changes or was known. */
  readonly revision: number;
  /** Something was erased since: what was known is to be dropped, and the changes are all there is. */
  readonly anew?: boolean;
  /** Ascending by revision. */
  readonly changes: readonly GroupChange[];
}

/** Episodes of every tenant. A tenant never sees another's. */
export interface EpisodeStore {
  /**
   * Stores each episode whose ingest key is new, and enters it for embedding; all or none. Answers
   * in the order given. Of two in one call with the same key the first is stored. Throws EPISODE_ERASED
   * when one of them was erased, or is of what was: that one is not stored.
   */
  add(tenantId: string, episodes: readonly NewEpisode[]): Promise<readonly AddedEpisode[]>;
  /**
   * The same for the episodes of an event, once for any number of deliveries. Resolves with those
   * that are new, without what was erased; with nothing when the event was had before.
   */
  addOnce(
    event: Pick<Event, "id">,
    tenantId: string,
    episodes: readonly NewEpisode[],
  ): Promise<readonly Episode[]>;
  get(tenantId: string, id: string): Promise<StagedEpisode | undefined>;
  /** A page of a group, beginning before the revision given; undefined for the latest. */
  list(
    tenantId: string,
    groupId: string,
    limit: number,
    before: number | undefined,
  ): Promise<EpisodePage>;
  /**
   * What changed in each group since its known revision, with the vectors of one model, in one
   * statement, and what there is beside. Groups without news are left out; first facts are news.
   */
  news(
    tenantId: string,
    model: string,
    known: readonly KnownGroup[],
  ): Promise<readonly GroupNews[]>;
}
