import { SpanStatusCode, trace } from "@opentelemetry/api";
import { Histogram, register } from "prom-client";
import type { Around } from "./step.ts";
import type { TurnRecorder } from "./turn-recorder.ts";

const tracer = trace.getTracer("soldier.alignment");

const name = "soldier_turn_step_duration_seconds";
// One process may load this module once and hold several services.
const duration =
  (register.getSingleMetric(name) as Histogram<"step"> | undefined) ??
  new Histogram({
    name,
    help: "Time of each step of a turn",
    labelNames: ["step"],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  });

/** By step: looking up labels costs more than counting. */
const durations = new Map<string, ReturnType<typeof duration.labels>>();

function durationOf(step: string) {
  const known = durations.get(step);
  if (known) return known;
  const made = duration.labels(step);
  durations.set(step, made);
  return made;
}

/** A span, a timing and an entry in the turn record for every step, failed ones included. */
export function observed(recorder: TurnRecorder): Around {
  return (step, run) =>
    tracer.startActiveSpan(`turn ${step}`, async (span) => {
      const startedMs = performance.now();
      try {
        const end = await run();
        const elapsedMs = performance.now() - startedMs;
        recorder.add(step, elapsedMs, end.record);
        if (end.record.skipped) span.setAttribute("soldier.skipped", end.record.skipped);
        if (end.record.degraded) span.setAttribute("soldier.degraded", end.record.degraded);
        return end;
      } catch (error) {
        span.setStatus({
          code: SpanStatusCode.ERROR,
          message: error instanceof Error ? error.name : "error",
        });
        throw error;
      } finally {
        durationOf(step).observe((performance.now() - startedMs) / 1_000);
        span.end();
      }
    });
}
