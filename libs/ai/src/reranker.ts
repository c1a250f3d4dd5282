import { Fault } from "@soldier/kernel/fault";
import { throwIfCancelled } from "./cancelled.ts";

export interface Candidate {
  readonly text: string;
  /** The score it was retrieved with, higher is better. */
  readonly score: number;
}

export interface Reranked {
  /** Position in the candidates given. */
  readonly index: number;
  readonly score: number;
}

/** Puts candidates in a better order by reading each together with the query. */
export interface Reranker {
  /** "provider:model", or "none". */
  readonly id: string;
  /**
   * Every candidate exactly once, best first. Equal scores keep the order given. Fails with
   * RERANKER_UNAVAILABLE, or with the Fault of `cancelled`; the order given will do then.
   */
  rerank(
    query: string,
    candidates: readonly Candidate[],
    signal: AbortSignal,
  ): Promise<readonly Reranked[]>;
}

/** Reranking switched off: the order given and its scores stay. */
export const noReranker: Reranker = {
  id: "none",
  async rerank(_query, candidates, signal) {
    throwIfCancelled(signal);
    return candidates.map(({ score }, index) => ({ index, score }));
  },
};

export function rerankerUnavailable(
  message: string,
  cause?: unknown,
  retryAfterMs?: number,
): Fault {
  const reason = "RERANKER_UNAVAILABLE";
  return new Fault("unavailable", message, {
    reason,
    cause,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
