import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import { timeoutSignal } from "@soldier/kernel/timeout-signal";
import type { StageName } from "../domain/episode.ts";
import type { DueEpisode, StageBacklog, StageOutcome } from "../store/stage-backlog.ts";
import {
  ingestionBacklog,
  ingestionBehind,
  ingestionFailures,
  ingestionLag,
} from "./ingestion-metrics.ts";

/** One answer for each episode, in order. What throws has failed, each by itself, and is tried again. */
export type StageWork<T> = (
  due: readonly DueEpisode[],
  signal: AbortSignal,
) => Promise<readonly Exclude<StageOutcome<T>, { kind: "failed" }>[]>;

export interface StageWorkerOptions<T> {
  readonly stage: Exclude<StageName, "stored">;
  readonly backlog: StageBacklog<T>;
  readonly work: StageWork<T>;
  /** Called after episodes have passed, so that the next stage need not wait for its poll. */
  readonly passed: () => void;
  /** Episodes taken at a time. */
  readonly batch: number;
  /** How long to wait when nothing is due. */
  readonly pollMs: number;
  /** Before the second try, doubled for each one after it up to the longest. */
  readonly retryMs: number;
  readonly retryMaxMs: number;
  /** Longest that one batch may take; after that its episodes are due again. */
  readonly timeoutMs: number;
  /** Share of the time that it works while somebody is waiting for searches, over 0 to 1. */
  readonly busyShare: number;
  /** Episodes that have been due for so long are worked on all the time; the share grows until then. */
  readonly behindMs: number;
  /** Whether there are searches now, to which this work gives way. */
  readonly busy: () => boolean;
  readonly now: () => Date;
  readonly monotonicMs: () => number;
  readonly log: Log;
}

export interface StageWorker extends AsyncDisposable {
  /** There is something new: don't wait for the next poll. */
  poke(): void;
}

/** Counting reads the whole backlog, which is long when it matters. */
const countEveryMs = 5_000;
/** After news, so that what is stored at the same time is worked on in the same batch. */
const gatherMs = 30;
/** Held for longer than the work may take, for the keeping of its results. */
const holdMarginMs = 30_000;

/**
 * Takes what waits for a stage through it, batch by batch, until disposed: a background job that never
 * stands in the way of a search. What fails is tried again later, for ever, and holds up nothing else.
 */
export function startStage<T>(options: StageWorkerOptions<T>): StageWorker {
  const { stage, backlog, work, batch, pollMs, timeoutMs, busyShare, busy, monotonicMs } = options;
  const { behindMs, log } = options;
  const stopped = new AbortController();
  const nap = napper(stopped.signal);

  async function tried(due: readonly DueEpisode[]): Promise<readonly StageOutcome<T>[]> {
    const signal = AbortSignal.any([stopped.signal, timeoutSignal(timeoutMs)]);
    try {
      return await work(due, signal);
    } catch (error) {
      stopped.signal.throwIfAborted(); // nobody's fault: leave them as they are
      if (due.length === 1 || isOutage(error))
        return due.map(({ attempts }) => failure(error, attempts, options));
    }
    // One of them may be what the work cannot take; it must not hold up the others.
    const outcomes: StageOutcome<T>[] = [];
    for (const one of due) outcomes.push(...(await tried([one])));
    return outcomes;
  }

  let countedMs = -Infinity;
  async function count(): Promise<void> {
    if (monotonicMs() - countedMs < countEveryMs) return;
    countedMs = monotonicMs();
    const { waiting, failed, parked, lateMs } = await backlog.count();
    ingestionBehind.set({ stage }, lateMs / 1_000);
    ingestionBacklog.set({ stage, status: "pending" }, waiting - failed);
    ingestionBacklog.set({ stage, status: "failed" }, failed);
    ingestionBacklog.set({ stage, status: "parked" }, parked);
  }

  const isStopped = () => stopped.signal.aborted;
  /** Gives way to searches, but not so that it falls behind for good. */
  const shareAt = (lateMs: number) => busyShare + (1 - busyShare) * Math.min(1, lateMs / behindMs);

  async function run(): Promise<void> {
    while (!isStopped()) {
      const startedMs = monotonicMs();
      let [taken, lateMs] = [0, 0];
      nap.forget(); // whatever there was news of is there now
      try {
        const due = await backlog.next(batch, timeoutMs + holdMarginMs, async (given) => {
          const outcomes = await tried(given);
          account(given, outcomes, options);
          return outcomes;
        });
        taken = due.length;
        lateMs = Math.max(0, ...due.map((one) => one.lateMs));
        if (taken > 0) options.passed();
        await count();
      } catch (error) {
        if (!isStopped()) log.warn({ err: error, stage }, "a stage is held up; trying again");
      }
      const tookMs = monotonicMs() - startedMs;
      if (taken > 0 && busy()) await nap.fully(tookMs * (1 / shareAt(lateMs) - 1));
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

/** What the work needs is away: it would be away for each of them. */
function isOutage(error: unknown): boolean {
  return error instanceof Fault && ["unavailable", "deadline", "exhausted"].includes(error.kind);
}

function failure(
  error: unknown,
  attempts: number,
  {
    stage,
    retryMs,
    retryMaxMs,
  }: Pick<StageWorkerOptions<never>, "stage" | "retryMs" | "retryMaxMs">,
) {
  const reason = error instanceof Fault ? error.reason : `NOT_${stage.toUpperCase()}`;
  const retryAfterMs = Math.min(retryMs * 2 ** Math.min(attempts, 30), retryMaxMs);
  return { kind: "failed", reason, retryAfterMs } as const;
}

function account<T>(
  due: readonly DueEpisode[],
  outcomes: readonly StageOutcome<T>[],
  { stage, now, log }: StageWorkerOptions<T>,
): void {
  outcomes.forEach((outcome, i) => {
    const { episode, attempts, isAgain } = due[i] ?? {};
    if (!episode || outcome.kind === "waits") return;
    if (outcome.kind === "failed") {
      ingestionFailures.inc({ stage, reason: outcome.reason });
      const { id, tenantId } = episode;
      const facts = { tenantId, episodeId: id, attempts: (attempts ?? 0) + 1, ...outcome };
      log.warn(facts, `an episode could not be ${stage}`);
    } else if (!isAgain) {
      const lagMs = now().getTime() - episode.recordedAt.getTime();
      ingestionLag.observe({ stage }, Math.max(0, lagMs) / 1_000);
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
