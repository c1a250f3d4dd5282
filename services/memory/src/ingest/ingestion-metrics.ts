import { Counter, Gauge, Histogram } from "prom-client";

/** How long after it happened an episode was stored, and after that how long until it had a vector. */
export const ingestionLag = new Histogram({
  name: "soldier_memory_ingestion_lag_seconds",
  help: "Time until an episode has passed a stage: since it happened (stored), since it was stored (embedded)",
  labelNames: ["stage"],
  buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200],
});

export const ingestionBacklog = new Gauge({
  name: "soldier_memory_ingestion_backlog",
  help: "Episodes that wait for a stage, by how they stand: pending, or failed before",
  labelNames: ["stage", "status"],
});

export const ingestionFailures = new Counter({
  name: "soldier_memory_ingestion_failures_total",
  help: "Tries of a stage that failed, by reason; each is repeated",
  labelNames: ["stage", "reason"],
});
