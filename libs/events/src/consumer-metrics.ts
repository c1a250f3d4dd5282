import { Counter, Gauge } from "prom-client";

const labelNames = ["consumer", "topic"];

export const deliveries = new Counter({
  name: "soldier_events_deliveries_total",
  help: "Events given to a consumer, by what came of it: taken, or failed",
  labelNames: [...labelNames, "outcome"],
});

export const redelivered = new Counter({
  name: "soldier_events_redelivered_total",
  help: "Deliveries of an event that the consumer was given before: it failed, or gave no answer in time",
  labelNames,
});

export const deadLetters = new Counter({
  name: "soldier_dead_letters_total",
  help: "Events that a consumer has given up",
  labelNames,
});

export const pending = new Gauge({
  name: "soldier_events_pending",
  help: "Events in the broker that a consumer was not given yet, as of the last one that it was given",
  labelNames,
});
