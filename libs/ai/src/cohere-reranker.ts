import { Fault } from "@soldier/kernel/fault";
import { timeoutSignal } from "@soldier/kernel/timeout-signal";
import { z } from "zod";
import { cancelled, throwIfCancelled } from "./cancelled.ts";
import { type Account, HttpFailure, postJson, withoutSlash } from "./http.ts";
import { retryAfter } from "./provider-fault.ts";
import { type Reranker, rerankerUnavailable } from "./reranker.ts";
import type { Turnstile } from "./turnstile.ts";

export interface CohereRerankerOptions extends Account {
  readonly model: string;
  /** Without a version, e.g. "https://api.cohere.com". */
  readonly baseUrl: string;
  readonly timeoutMs: number;
  readonly turnstile: Turnstile;
}

const answerSchema = z.object({
  results: z.array(z.object({ index: z.int().min(0), relevance_score: z.number() })),
});

/** Longer texts count by their beginning; the model reads less than this anyway. */
const charactersMax = 16_384;

/** Cohere's rerank API, and of servers that speak as it does. Scores are from 0 to 1. */
export function cohereReranker(options: CohereRerankerOptions): Reranker {
  const { model, baseUrl, timeoutMs, turnstile } = options;
  const url = `${withoutSlash(baseUrl)}/v2/rerank`;
  return {
    id: `cohere:${model}`,
    async rerank(query, candidates, signal) {
      throwIfCancelled(signal);
      if (candidates.length === 0) return [];
      const body = {
        model,
        query: sendable(query),
        documents: candidates.map(({ text }) => sendable(text)),
      };
      const timer = timeoutSignal(timeoutMs);
      const leave = await turnstile.enter(signal);
      try {
        const answer = await postJson(url, body, options, AbortSignal.any([signal, timer]));
        const { results } = answerSchema.parse(await answer.json());
        return ordered(results, candidates.length);
      } catch (error) {
        if (signal.aborted) throw cancelled(signal);
        if (timer.aborted)
          throw rerankerUnavailable(`the reranker gave no answer in ${timeoutMs} ms`, error);
        throw error instanceof HttpFailure ? faultOf(error, model) : brokenOff(error);
      } finally {
        leave();
      }
    },
  };
}

function sendable(text: string): string {
  return text.trim() === "" ? "." : text.slice(0, charactersMax).toWellFormed();
}

/** Each candidate once, best first; equal scores in the order given. */
function ordered(results: z.output<typeof answerSchema>["results"], count: number) {
  const scores = new Map(results.map(({ index, relevance_score }) => [index, relevance_score]));
  const all = Array.from({ length: count }, (_, index) => ({ index, score: scores.get(index) }));
  return all
    .map(({ index, score }) => {
      if (score === undefined || scores.size !== count)
        throw rerankerUnavailable(`the reranker scored ${scores.size} of ${count} candidates`);
      return { index, score };
    })
    .toSorted((a, b) => b.score - a.score);
}

function brokenOff(error: unknown): unknown {
  if (error instanceof Fault) return error;
  return rerankerUnavailable("the reranker can't be reached, or makes no sense", error);
}

function faultOf(failure: HttpFailure, model: string) {
  const { status, headers } = failure;
  if (status === 401 || status === 402 || status === 403)
    return rerankerUnavailable(
      "the reranker refuses the account: check api_key in the [reranker] settings " +
        "(SOLDIER_RERANKER__API_KEY), its rights and its credit",
      failure,
    );
  if (status === 404)
    return rerankerUnavailable(
      `the reranker does not know "${model}": check model and base_url in the [reranker] settings`,
      failure,
    );
  const message = `the reranker answers with status ${status}`;
  return rerankerUnavailable(message, failure, retryAfter(headers));
}
