import type { Episode } from "../domain/episode.ts";

/** An episode that waits for a stage. */
export interface DueEpisode {
  readonly episode: Episode;
  /** Tries before this one. */
  readonly attempts: number;
  /** It passes the stage again, for which nobody waits. */
  readonly isAgain: boolean;
  /** How long it has been due; 0 for what passes the stage again. */
  readonly lateMs: number;
}

/** What came of one try. */
export type StageOutcome<T> =
  | { readonly kind: "done"; readonly value: T }
  /** Not ready yet: no try is counted. */
  | { readonly kind: "waits"; readonly forMs: number }
  /** To be tried again after the delay; the reason is kept with the episode. */
  | { readonly kind: "failed"; readonly reason: string; readonly retryAfterMs: number };

export interface StageCounts {
  readonly waiting: number;
  /** Of those that wait: how many have failed before. */
  readonly failed: number;
  /** Held for a person, beside those that wait. */
  readonly parked: number;
  /** How long the one that waits longest has been due, of those that were not there before. */
  readonly lateMs: number;
}

/** Episodes of all tenants that wait for one stage, whose results are of type T. */
export interface StageBacklog<T> {
  /**
   * Gives up to `limit` episodes that are due, the longest due first but those that pass it again last,
   * to the work, and keeps what it answers: one outcome each, in order. No other worker gets them for `holdMs`. If the work
   * rejects they are due as before; if this process dies they are, when that time is over. A result
   * is dropped when the episode waits no more: it was erased, or another worker was first. Resolves
   * with what was given.
   */
  next(
    limit: number,
    holdMs: number,
    work: (due: readonly DueEpisode[]) => Promise<readonly StageOutcome<T>[]>,
  ): Promise<readonly DueEpisode[]>;
  count(): Promise<StageCounts>;
}
