import type { Episode } from "../domain/episode.ts";

/** An episode that waits for its vector. */
export interface Unembedded {
  readonly episode: Episode;
  /** Tries before this one. */
  readonly attempts: number;
}

/** What came of one try. */
export type EmbeddingOutcome =
  | { readonly kind: "embedded"; readonly vector: Float32Array }
  /** To be tried again after the delay; the reason is kept with the episode. */
  | { readonly kind: "failed"; readonly reason: string; readonly retryAfterMs: number };

/** Episodes of all tenants that wait for a vector. */
export interface EmbeddingBacklog {
  /**
   * Gives up to `limit` episodes that are due, the longest due first, to the work, and keeps what
   * it answers: one outcome each, in order. They are held meanwhile: no other worker gets them. If
   * the work rejects, or this process dies, they are due as before. Resolves with what was given.
   */
  embedNext(
    model: string,
    limit: number,
    work: (due: readonly Unembedded[]) => Promise<readonly EmbeddingOutcome[]>,
  ): Promise<readonly Unembedded[]>;
  /** How many wait, and how many of them have failed before. */
  count(): Promise<{ readonly waiting: number; readonly failed: number }>;
}
