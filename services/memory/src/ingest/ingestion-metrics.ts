import { Counter, Gauge, Histogram } from "prom-client";

/** How long after it happened an episode was stored, and after that how long until it had passed each stage. */
export const ingestionLag = new Histogram({
  name: "soldier_memory_ingestion_lag_seconds",
  help: "Time until an episode has passed a stage: since it happened (stored), since it was stored (the others)",
  labelNames: ["stage"],
  buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200],
});

export const ingestionBacklog = new Gauge({
  name: "soldier_memory_ingestion_backlog",
  help: "Episodes that wait for a stage, by how they stand: pending, failed before, or parked for a person",
  labelNames: ["stage", "status"],
});

export const ingestionBehind = new Gauge({
  name: "soldier_memory_ingestion_behind_seconds",
  help: "How long the episode that waits longest for a stage has been due, but for those that pass it again",
  labelNames: ["stage"],
});

export const ingestionFailures = new Counter({
  name: "soldier_memory_ingestion_failures_total",
  help: "Tries of a stage that failed, by reason; each is repeated",
  labelNames: ["stage", "reason"],
});

export const findingsCount = new Counter({
  name: "soldier_memory_findings_total",
  help: "Claims and corrections found in episodes, by who found them: pattern or llm",
  labelNames: ["extractor"],
});

export const findingsDropped = new Counter({
  name: "soldier_memory_findings_dropped_total",
  help: "Findings that could not be claims, by why",
  labelNames: ["why"],
});

export const extractionTokens = new Counter({
  name: "soldier_memory_extraction_tokens_total",
  help: "Tokens that extraction by a model took, by model and whether they were read or written",
  labelNames: ["model", "direction"],
});

export const extractionCost = new Counter({
  name: "soldier_memory_extraction_cost_micros_total",
  help: "What extraction by a model cost, in millionths of a US dollar, where prices are known",
  labelNames: ["model"],
});

export const extractionFallbacks = new Counter({
  name: "soldier_memory_extraction_fallbacks_total",
  help: "Batches that patterns read since no model could, by the model's failure",
  labelNames: ["reason"],
});
