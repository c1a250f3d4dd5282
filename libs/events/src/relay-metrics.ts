import { Counter, Gauge } from "prom-client";

const labelNames = ["outbox"];

export const published = new Counter({
  name: "soldier_outbox_published_total",
  help: "Events that the relay published",
  labelNames,
});

export const failed = new Counter({
  name: "soldier_outbox_failed_total",
  help: "Attempts to publish an event that failed",
  labelNames,
});

export const republished = new Counter({
  name: "soldier_outbox_republished_total",
  help: "Events published again because the broker came back without them",
  labelNames,
});

export const backlog = new Gauge({
  name: "soldier_outbox_backlog",
  help: "Events not yet published",
  labelNames,
});

export const oldestAge = new Gauge({
  name: "soldier_outbox_oldest_age_seconds",
  help: "Age of the oldest event not yet published; 0 when there is none",
  labelNames,
});
