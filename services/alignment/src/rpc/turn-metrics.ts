import { ReplySourceSchema, type Turn, TurnOutcomeSchema } from "@soldier/proto/session/v1/session";
import { Counter, Histogram, register } from "prom-client";
import type { Rung } from "../domain/budget.ts";
import { enumName } from "../domain/enum-name.ts";
import type { TurnRecorder } from "../pipeline/turn-recorder.ts";

/** The metric of this name, made at its first use: a process may load the module more than once. */
function once<T>(name: string, make: (name: string) => T): T {
  // Only this file makes metrics of these names.
  return (register.getSingleMetric(name) as T | undefined) ?? make(name);
}

const turns = once(
  "soldier_turns_total",
  (name) =>
    new Counter<"outcome" | "source">({
      name,
      help: "Turns committed or superseded, by outcome and by where the reply came from",
      labelNames: ["outcome", "source"],
    }),
);

const duration = once(
  "soldier_turn_duration_seconds",
  (name) =>
    new Histogram<"part">({
      name,
      help: "Time of a turn: all of it, and what is left without models and tools",
      labelNames: ["part"],
      buckets: [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    }),
);

const modelCalls = once(
  "soldier_turn_model_calls",
  (name) =>
    new Histogram({
      name,
      help: "Model calls of a turn that waited for each other",
      buckets: [0, 1, 2, 3, 4, 6, 8],
    }),
);

/** Counts a turn that a newer message has ended. */
export function turnSuperseded(): void {
  turns.labels("superseded", "unspecified").inc();
}

const cutBack = once(
  "soldier_turns_cut_back_total",
  (name) =>
    new Counter<"rung">({
      name,
      help: "Turns that did without something because of their tenant's budget of the day",
      labelNames: ["rung"],
    }),
);

const allModelCalls = once(
  "soldier_turn_model_calls_all",
  (name) =>
    new Histogram({
      name,
      help: "Model calls of a turn, those included that failed or ran beside others",
      buckets: [0, 1, 2, 3, 4, 6, 8, 12],
    }),
);

const speculations = once(
  "soldier_turn_speculations_total",
  (name) =>
    new Counter<"used">({
      name,
      help: "Replies that were begun while the message was judged, by whether they were used",
      labelNames: ["used"],
    }),
);

/** Counts a committed turn. */
export function turnEnded(
  { outcome, replySource }: Turn,
  rung: Rung,
  recorder: TurnRecorder,
): void {
  if (rung !== "full") cutBack.labels(rung).inc();
  turns
    .labels(
      enumName(TurnOutcomeSchema, outcome).toLowerCase(),
      enumName(ReplySourceSchema, replySource).toLowerCase(),
    )
    .inc();
  const { durationMs, engineMs, modelCallDepth } = recorder.figures;
  const { calls, speculation } = recorder;
  allModelCalls.observe(calls);
  if (speculation) speculations.labels(String(speculation.used)).inc();
  duration.labels("all").observe(durationMs / 1_000);
  duration.labels("engine").observe(engineMs / 1_000);
  modelCalls.observe(modelCallDepth);
}
