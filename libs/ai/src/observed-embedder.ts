import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { Fault } from "@soldier/kernel/fault";
import { Counter, Histogram } from "prom-client";
import type { Embedder } from "./embedder.ts";

const texts = new Counter({
  name: "soldier_embedding_texts_total",
  help: "Texts given to an embedding model, those answered from its cache included.",
  labelNames: ["model"],
});
const errors = new Counter({
  name: "soldier_embedding_errors_total",
  help: "Requests for embeddings that failed, by the fault's reason.",
  labelNames: ["model", "reason"],
});
const latency = new Histogram({
  name: "soldier_embedding_latency_seconds",
  help: "Time of a request for embeddings, waiting for others included; failures are left out.",
  labelNames: ["model"],
  buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
});

const tracer = trace.getTracer("soldier.ai");

/** A span and the metrics around each request. Neither ever holds a text. */
export function observedEmbedder(embedder: Embedder): Embedder {
  const { model, dimensions } = embedder;
  return {
    model,
    dimensions,
    async embed(given, signal, role) {
      const span = tracer.startSpan(`embeddings ${model}`, {
        kind: SpanKind.INTERNAL,
        attributes: {
          "gen_ai.operation.name": "embeddings",
          "gen_ai.request.model": model,
          "gen_ai.embeddings.dimension.count": dimensions,
          "soldier.texts": given.length,
        },
      });
      texts.inc({ model }, given.length);
      const stop = latency.startTimer({ model });
      try {
        const vectors = await embedder.embed(given, signal, role);
        stop();
        return vectors;
      } catch (error) {
        const reason = error instanceof Fault ? error.reason : "BUG";
        errors.inc({ model, reason });
        span.setStatus({ code: SpanStatusCode.ERROR }).setAttribute("error.type", reason);
        throw error;
      } finally {
        span.end();
      }
    },
  };
}
