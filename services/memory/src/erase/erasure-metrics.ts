import { Counter, Gauge } from "prom-client";

export const erasuresFinished = new Counter({
  name: "soldier_memory_erasures_total",
  help: "Erasures that were finished, with their certificate, by scope",
  labelNames: ["scope"],
});

/** One that stays over 0 for long is for a person: the erasure's last failure says why. */
export const erasuresOverdue = new Gauge({
  name: "soldier_memory_erasures_overdue",
  help: "Erasures taken up again since they were put off or cut short, at the last look",
});
