import { Counter } from "prom-client";

export const takeovers = new Counter<"how">({
  name: "soldier_session_lease_takeovers_total",
  help: "Turns that took another turn's lease: it had run out (expired), or a newer message came (superseded)",
  labelNames: ["how"],
});
