import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { Fault } from "@soldier/kernel/fault";
import { Counter, Histogram } from "prom-client";
import type { Reranker } from "./reranker.ts";

const errors = new Counter({
  name: "soldier_rerank_errors_total",
  help: "Requests to rerank that failed, by the fault's reason.",
  labelNames: ["model", "reason"],
});
const latency = new Histogram({
  name: "soldier_rerank_latency_seconds",
  help: "Time of a request to rerank; failures are left out.",
  labelNames: ["model"],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10],
});

const tracer = trace.getTracer("soldier.ai");

/** A span and the metrics around each request. Neither ever holds a text. */
export function observedReranker(reranker: Reranker): Reranker {
  const { id } = reranker;
  return {
    id,
    async rerank(query, candidates, signal) {
      const span = tracer.startSpan(`rerank ${id}`, {
        kind: SpanKind.INTERNAL,
        attributes: { "gen_ai.request.model": id, "soldier.candidates": candidates.length },
      });
      const stop = latency.startTimer({ model: id });
      try {
        const order = await reranker.rerank(query, candidates, signal);
        stop();
        return order;
      } catch (error) {
        const reason = error instanceof Fault ? error.reason : "BUG";
        errors.inc({ model: id, reason });
        span.setStatus({ code: SpanStatusCode.ERROR }).setAttribute("error.type", reason);
        throw error;
      } finally {
        span.end();
      }
    },
  };
}
