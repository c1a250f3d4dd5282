import type { Embedder } from "@soldier/ai/embedder";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import { searchableText } from "../domain/episode.ts";
import type { EmbeddingBacklog, EmbeddingOutcome, Unembedded } from "../store/embedding-backlog.ts";
import { ingestionBacklog, ingestionFailures, ingestionLag } from "./ingestion-metrics.ts";

export interface EmbeddingWorkerOptions {
  readonly backlog: EmbeddingBacklog;
  readonly embedder: Embedder;
  /** Episodes taken at a time. */
  readonly batch: number;
  /** How long to wait when nothing is due. */
  readonly pollMs: number;
  /** Before the second try, doubled for each one after it up to the longest. */
  readonly retryMs: number;
  readonly retryMaxMs: number;
  /** Share of the time that it works while somebody is waiting for searches, over 0 to 1. */
  readonly busyShare: number;
  /** Whether there are searches now, to which this work gives way. */
  readonly busy: () => boolean;
  readonly now: () => Date;
  readonly monotonicMs: () => number;
  readonly log: Log;
}

export interface EmbeddingWorker extends AsyncDisposable {
  /** There is something new: don't wait for the next poll. */
  poke(): void;
}

/** Longest that one batch may take; after that its episodes are due again. */
const batchTimeoutMs = 30_000;
/** Counting reads the whole backlog, which is long when it matters. */
const countEveryMs = 5_000;
/** After news, so that what is stored at the same time is embedded in the same batch. */
const gatherMs = 30;

/**
 * Embeds what waits, batch by batch, until disposed: a background job that never stands in the way
 * of a search. What fails is tried again later, for ever: an episode without a vector is found by
 * its words meanwhile, and nothing waits for it.
 */
export function startEmbedding(options: EmbeddingWorkerOptions): EmbeddingWorker {
  const { backlog, embedder, batch, pollMs, busyShare, busy, monotonicMs, log } = options;
  const stopped = new AbortController();
  const nap = napper(stopped.signal);

  async function embed(due: readonly Unembedded[]): Promise<readonly EmbeddingOutcome[]> {
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(batchTimeoutMs)]);
    try {
      return await embedAll(embedder, due, signal);
    } catch (error) {
      stopped.signal.throwIfAborted(); // nobody's fault: leave them as they are
      if (due.length === 1 || isOutage(error))
        return due.map(({ attempts }) => failure(error, attempts, options));
    }
    // One of them may be what the model cannot take; it must not hold up the others.
    const outcomes: EmbeddingOutcome[] = [];
    for (const one of due) outcomes.push(...(await embed([one])));
    return outcomes;
  }

  let countedMs = -Infinity;
  async function count(): Promise<void> {
    if (monotonicMs() - countedMs < countEveryMs) return;
    countedMs = monotonicMs();
    const { waiting, failed } = await backlog.count();
    ingestionBacklog.set({ stage: "embedded", status: "pending" }, waiting - failed);
    ingestionBacklog.set({ stage: "embedded", status: "failed" }, failed);
  }

  const isStopped = () => stopped.signal.aborted;

  async function run(): Promise<void> {
    while (!isStopped()) {
      const startedMs = monotonicMs();
      let taken = 0;
      nap.forget(); // whatever there was news of is there now
      try {
        const due = await backlog.embedNext(embedder.model, batch, async (given) => {
          const outcomes = await embed(given);
          account(given, outcomes, options);
          return outcomes;
        });
        taken = due.length;
        await count();
      } catch (error) {
        if (!isStopped()) log.warn({ err: error }, "embedding is held up; trying again");
      }
      const tookMs = monotonicMs() - startedMs;
      if (taken > 0 && busy()) await nap.fully(tookMs * (1 / busyShare - 1));
      // Fewer than asked for: nothing else was due.
      if (taken < batch && (await nap.until(pollMs))) await nap.fully(gatherMs);
    }
  }

  const running = run();
  return {
    poke: () => nap.wake(),
    async [Symbol.asyncDispose]() {
      stopped.abort(new Fault("cancelled", "the service is stopping"));
      await running;
    },
  };
}

async function embedAll(
  embedder: Embedder,
  due: readonly Unembedded[],
  signal: AbortSignal,
): Promise<readonly EmbeddingOutcome[]> {
  const texts = due.map(({ episode }) => searchableText(episode));
  const vectors = await embedder.embed(texts, signal);
  return vectors.map((vector) => ({ kind: "embedded", vector }));
}

/** The model is away: it would be away for each of them. */
function isOutage(error: unknown): boolean {
  return error instanceof Fault && ["unavailable", "deadline", "exhausted"].includes(error.kind);
}

function failure(
  error: unknown,
  attempts: number,
  { retryMs, retryMaxMs }: EmbeddingWorkerOptions,
): EmbeddingOutcome {
  const reason = error instanceof Fault ? error.reason : "EMBEDDER_FAILED";
  const retryAfterMs = Math.min(retryMs * 2 ** Math.min(attempts, 30), retryMaxMs);
  return { kind: "failed", reason, retryAfterMs };
}

function account(
  due: readonly Unembedded[],
  outcomes: readonly EmbeddingOutcome[],
  { now, log }: EmbeddingWorkerOptions,
): void {
  outcomes.forEach((outcome, i) => {
    const { episode, attempts } = due[i] ?? {};
    if (!episode) return;
    if (outcome.kind === "failed") {
      ingestionFailures.inc({ stage: "embedded", reason: outcome.reason });
      const { id, tenantId } = episode;
      const facts = { tenantId, episodeId: id, attempts: (attempts ?? 0) + 1, ...outcome };
      log.warn(facts, "an episode could not be embedded");
    } else {
      const lagMs = now().getTime() - episode.recordedAt.getTime();
      ingestionLag.observe({ stage: "embedded" }, Math.max(0, lagMs) / 1_000);
    }
  });
}

/** Waits that end early: all of them when the signal aborts. */
function napper(signal: AbortSignal) {
  let woken = false;
  let end: (() => void) | undefined;
  const sleep = (ms: number, wakeable: boolean) =>
    new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        end = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done, { once: true });
      if (wakeable) end = done;
      if (signal.aborted) done();
    });
  return {
    wake() {
      woken = true;
      end?.();
    },
    forget() {
      woken = false;
    },
    /** Until woken, or at most so long; at once when woken since the last time. Whether it was woken. */
    async until(ms: number): Promise<boolean> {
      if (!woken) await sleep(ms, true);
      const early = woken;
      woken = false;
      return early;
    },
    /** So long, whoever wakes. */
    fully: (ms: number) => sleep(ms, false),
  };
}
