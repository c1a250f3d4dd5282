import { deterministicEmbedder } from "@soldier/ai/deterministic";
import type { Embedder } from "@soldier/ai/embedder";
import { systemClock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { silentLog } from "@soldier/kernel/log";
import { describe, expect, it, vi } from "vitest";
import type { DueEpisode, StageBacklog, StageOutcome } from "../store/stage-backlog.ts";
import { embedEpisodes } from "./embed-episodes.ts";
import { startStage, type StageWorkerOptions } from "./stage-worker.ts";

type Vector = Float32Array;

const waiting = (text: string, attempts = 0, lateMs = 0): DueEpisode => ({
  attempts,
  isAgain: false,
  lateMs,
  episode: {
    tenantId: "acme",
    id: newId(),
    groupId: "ana",
    customerId: "ana",
    agentId: "",
    sessionId: "",
    turnId: "",
    ingestKey: text,
    role: "user",
    text,
    occurredAt: new Date(0),
    recordedAt: new Date(0),
    revision: 1,
  },
});

/** A backlog in an array; a failed one is not given again. */
function backlogOf(given: readonly DueEpisode[]) {
  const queue = [...given];
  const outcomes = new Map<string, StageOutcome<Vector>>();
  const backlog: StageBacklog<Vector> = {
    async next(limit, _holdMs, work) {
      const due = queue.slice(0, limit);
      if (due.length === 0) return due;
      const came = await work(due);
      queue.splice(0, due.length);
      due.forEach(({ episode }, i) => {
        const outcome = came[i];
        if (outcome) outcomes.set(episode.text, outcome);
      });
      return due;
    },
    count: async () => ({ waiting: queue.length, failed: 0, parked: 0, lateMs: 0 }),
  };
  return { backlog, queue, outcomes };
}

type Over = Partial<StageWorkerOptions<Vector>> & { readonly embedder?: Embedder };
const options = ({
  embedder = deterministicEmbedder(8),
  ...over
}: Over): StageWorkerOptions<Vector> => ({
  stage: "embedded",
  backlog: backlogOf([]).backlog,
  work: embedEpisodes(embedder),
  passed: () => {},
  timeoutMs: 30_000,
  batch: 3,
  pollMs: 60_000,
  retryMs: 100,
  retryMaxMs: 1_000,
  busyShare: 1,
  behindMs: 10_000,
  busy: () => false,
  now: () => systemClock.now(),
  monotonicMs: () => systemClock.monotonicMs(),
  log: silentLog,
  ...over,
});

/** Refuses batches and texts with "poison" in them. */
function picky(fault: Error): Embedder {
  const good = deterministicEmbedder(8);
  return {
    ...good,
    embed: async (texts, signal) => {
      if (texts.some((text) => text.includes("poison"))) throw fault;
      return good.embed(texts, signal);
    },
  };
}

describe("the worker of a stage", () => {
  it("works until nothing waits", async () => {
    const { backlog, outcomes } = backlogOf("abcdefg".split("").map((text) => waiting(text)));
    await using _worker = startStage(options({ backlog }));
    await vi.waitFor(() => expect(outcomes.size).toBe(7));
    expect(new Set([...outcomes.values()].map(({ kind }) => kind))).toEqual(new Set(["done"]));
  });
  it("starts at once when told of something new", async () => {
    const { backlog, queue, outcomes } = backlogOf([]);
    await using worker = startStage(options({ backlog }));
    queue.push(waiting("new"));
    worker.poke();
    await vi.waitFor(() => expect(outcomes.has("new")).toBe(true));
  });
  it("lets one that the model cannot take hold up no other", async () => {
    const { backlog, outcomes } = backlogOf([waiting("a"), waiting("poison"), waiting("b")]);
    const embedder = picky(new Fault("invalid", "no", { reason: "TEXT_REFUSED" }));
    await using _worker = startStage(options({ backlog, embedder }));
    await vi.waitFor(() => expect(outcomes.size).toBe(3));
    expect(outcomes.get("a")?.kind).toBe("done");
    expect(outcomes.get("b")?.kind).toBe("done");
    expect(outcomes.get("poison")).toEqual({
      kind: "failed",
      reason: "TEXT_REFUSED",
      retryAfterMs: 100,
    });
  });
  it("waits twice as long after each failure, up to the longest", async () => {
    const tries = [0, 1, 2, 3, 4, 50].map((attempts) => waiting(`poison ${attempts}`, attempts));
    const { backlog, outcomes } = backlogOf(tries);
    const embedder = picky(new Fault("unavailable", "no", { reason: "EMBEDDER_UNAVAILABLE" }));
    await using _worker = startStage(options({ backlog, embedder, batch: 10 }));
    await vi.waitFor(() => expect(outcomes.size).toBe(6));
    expect([...outcomes.values()].map((one) => "retryAfterMs" in one && one.retryAfterMs)).toEqual([
      100, 200, 400, 800, 1_000, 1_000,
    ]);
  });
  it("goes on after the store was away", async () => {
    const { backlog, outcomes } = backlogOf([waiting("a")]);
    let failures = 2;
    const flaky: StageBacklog<Vector> = {
      ...backlog,
      next: async (...args) => {
        if (failures-- > 0) throw new Fault("unavailable", "gone");
        return backlog.next(...args);
      },
    };
    await using _worker = startStage(options({ backlog: flaky, pollMs: 1 }));
    await vi.waitFor(() => expect(outcomes.size).toBe(1));
  });
  it("leaves what it had in hand to the next when it is stopped", async () => {
    const { backlog, queue, outcomes } = backlogOf([waiting("a")]);
    const started = Promise.withResolvers<void>();
    const endless: Embedder = {
      ...deterministicEmbedder(8),
      embed: (_texts, signal) =>
        new Promise((_, reject) => {
          started.resolve();
          signal.addEventListener("abort", () => reject(signal.reason as Error));
        }),
    };
    const worker = startStage(options({ backlog, embedder: endless }));
    await started.promise;
    await worker[Symbol.asyncDispose]();
    expect(queue).toHaveLength(1);
    expect(outcomes.size).toBe(0);
  });
  it.each([
    ["a share of the time", 0, 0.25, 30],
    ["more of it when what waits has waited long", 5_000, 0.25, 6],
    ["all of the time when it is far behind", 20_000, 0.25, 0],
  ])("works %s while somebody searches", async (_, lateMs, busyShare, napMs) => {
    const clock = { ms: 0 };
    const slow: Embedder = {
      ...deterministicEmbedder(8),
      embed: async (texts, signal) => {
        clock.ms += 10;
        return deterministicEmbedder(8).embed(texts, signal);
      },
    };
    using pauses = vi.spyOn(globalThis, "setTimeout");
    const { backlog, outcomes } = backlogOf(["a", "b"].map((text) => waiting(text, 0, lateMs)));
    const shares = { busy: () => true, busyShare, batch: 1, monotonicMs: () => clock.ms };
    await using _worker = startStage(options({ backlog, embedder: slow, ...shares }));
    await vi.waitFor(() => expect(outcomes.size).toBe(2));
    const naps = pauses.mock.calls.map(([, ms = 0]) => ms);
    expect(naps.some((ms) => Math.abs(ms - napMs) < 1)).toBe(true);
  });
});
