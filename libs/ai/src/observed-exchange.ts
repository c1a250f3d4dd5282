import { type Attributes, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { Fault } from "@soldier/kernel/fault";
import { Counter, Histogram } from "prom-client";
import type { Format } from "./exchange.ts";
import type { Generation, GenerationChunk, ModelRequest } from "./language-model.ts";

type Observable = (
  req: ModelRequest,
  format: Format | undefined,
  signal: AbortSignal,
) => AsyncIterable<GenerationChunk>;

const calls = new Counter({
  name: "soldier_model_calls_total",
  help: "Calls to language models, repairs of structured answers included.",
  labelNames: ["model", "operation"],
});
const errors = new Counter({
  name: "soldier_model_errors_total",
  help: "Calls to language models that failed, by the fault's reason; ABANDONED when the reader left.",
  labelNames: ["model", "reason"],
});
const tokens = new Counter({
  name: "soldier_model_tokens_total",
  help: "Tokens used by language models; input excludes what the provider's cache held or took.",
  labelNames: ["model", "kind"],
});
const seconds = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];
const latency = new Histogram({
  name: "soldier_model_latency_seconds",
  help: "Time from a call to a language model to its last token; failures are left out.",
  labelNames: ["model", "operation"],
  buckets: seconds,
});
const firstToken = new Histogram({
  name: "soldier_model_first_token_seconds",
  help: "Time from a call to a language model to its first token.",
  labelNames: ["model"],
  buckets: seconds,
});

const tracer = trace.getTracer("soldier.ai");

/** A span and the metrics around each call. Neither ever holds what was said. */
export function observedExchange(id: string, exchange: Observable): Observable {
  const [provider = id, ...rest] = id.split(":");
  const model = rest.join(":") || id;

  return async function* observed(req, format, signal) {
    const operation = format ? "structured" : "generate";
    const attributes: Attributes = {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": provider,
      "gen_ai.request.model": model,
      "gen_ai.request.max_tokens": req.maxTokens,
      "gen_ai.output.type": format ? "json" : "text",
    };
    if (format) attributes["soldier.schema"] = format.schemaName;
    const span = tracer.startSpan(`chat ${model}`, { kind: SpanKind.CLIENT, attributes });
    calls.inc({ model: id, operation });

    let outcome = "ABANDONED";
    try {
      for await (const chunk of exchange(req, format, signal)) {
        if (chunk.kind === "end") {
          outcome = "ended";
          record(id, operation, chunk.generation, span);
        }
        yield chunk;
      }
    } catch (error) {
      outcome = error instanceof Fault ? error.reason : "BUG";
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      if (outcome !== "ended") {
        errors.inc({ model: id, reason: outcome });
        span.setAttribute("error.type", outcome);
      }
      span.end();
    }
  };
}

function record(id: string, operation: string, generation: Generation, span: Span): void {
  const { usage } = generation;
  latency.observe({ model: id, operation }, generation.latencyMs / 1000);
  firstToken.observe({ model: id }, generation.firstTokenMs / 1000);
  tokens.inc({ model: id, kind: "input" }, usage.inputTokens);
  tokens.inc({ model: id, kind: "output" }, usage.outputTokens);
  tokens.inc({ model: id, kind: "cache_read" }, usage.cacheReadTokens);
  tokens.inc({ model: id, kind: "cache_write" }, usage.cacheWriteTokens);
  span.setAttributes({
    "gen_ai.response.model": generation.model,
    "gen_ai.response.finish_reasons": [generation.stopReason],
    // The convention counts the cached ones in.
    "gen_ai.usage.input_tokens": usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens,
    "gen_ai.usage.output_tokens": usage.outputTokens,
    "gen_ai.usage.cache_read.input_tokens": usage.cacheReadTokens,
    "gen_ai.usage.cache_creation.input_tokens": usage.cacheWriteTokens,
    "soldier.first_token_ms": Math.round(generation.firstTokenMs),
  });
}
