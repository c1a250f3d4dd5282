import { collectDefaultMetrics, Counter, Gauge, Histogram, register } from "prom-client";

/** Everything this process counts, in Prometheus' text format. One registry a process. */
export async function metricsText(): Promise<{ readonly type: string; readonly text: string }> {
  return { type: register.contentType, text: await register.metrics() };
}

/** Of its own accord Node's lag would be looked at every 10 ms, which is most of what an idle process costs. */
const loopLagEveryMs = 100;

/** Adds the process's own figures: memory, CPU, event loop, garbage collection. Once is enough. */
export function measureProcess(): void {
  if (!register.getSingleMetric("process_cpu_seconds_total"))
    collectDefaultMetrics({ eventLoopMonitoringPrecision: loopLagEveryMs });
}

const seconds = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120];

/** Rate, errors and duration of one side of RPCs. */
export interface Red {
  readonly requests: Counter<"service" | "rpc" | "code">;
  readonly duration: Histogram<"service" | "rpc">;
  readonly inFlight: Gauge<"service" | "rpc">;
}

export const serverRed: Red = {
  requests: new Counter({
    name: "soldier_rpc_server_requests_total",
    help: "Calls answered, by service, RPC and code",
    labelNames: ["service", "rpc", "code"],
  }),
  duration: new Histogram({
    name: "soldier_rpc_server_duration_seconds",
    help: "Time from a call's arrival to the end of its answer",
    labelNames: ["service", "rpc"],
    buckets: seconds,
  }),
  inFlight: new Gauge({
    name: "soldier_rpc_server_in_flight",
    help: "Calls being answered",
    labelNames: ["service", "rpc"],
  }),
};

export const clientRed: Red = {
  requests: new Counter({
    name: "soldier_rpc_client_requests_total",
    help: "Calls made to other services, each attempt, by calling service, RPC and code",
    labelNames: ["service", "rpc", "code"],
  }),
  duration: new Histogram({
    name: "soldier_rpc_client_duration_seconds",
    help: "Time of a call made to another service, each attempt",
    labelNames: ["service", "rpc"],
    buckets: seconds,
  }),
  inFlight: new Gauge({
    name: "soldier_rpc_client_in_flight",
    help: "Calls to other services that wait for their answer",
    labelNames: ["service", "rpc"],
  }),
};

export const retries = new Counter({
  name: "soldier_rpc_client_retries_total",
  help: "Calls repeated, by RPC, and those not repeated because the budget was spent",
  labelNames: ["service", "rpc", "outcome"],
});

export const httpRequests = new Counter({
  name: "soldier_http_requests_total",
  help: "Plain HTTP requests answered at the edge, by method and status",
  labelNames: ["service", "method", "status"],
});

export const httpDuration = new Histogram({
  name: "soldier_http_duration_seconds",
  help: "Time from a plain HTTP request's arrival to the end of its answer",
  labelNames: ["service", "method"],
  buckets: seconds,
});

/** What is counted about one RPC on one side, with its labels looked up once. */
export interface RpcMeter {
  started(): void;
  ended(code: string, elapsedMs: number): void;
}

export function rpcMeter(red: Red, service: string, rpc: string): RpcMeter {
  const inFlight = red.inFlight.labels(service, rpc);
  const duration = red.duration.labels(service, rpc);
  const ok = red.requests.labels(service, rpc, "OK");
  return {
    started: () => inFlight.inc(),
    ended(code, elapsedMs) {
      inFlight.dec();
      duration.observe(elapsedMs / 1_000);
      if (code === "OK") ok.inc();
      else red.requests.labels(service, rpc, code).inc();
    },
  };
}

export const rowsLeftOut = new Counter({
  name: "soldier_damaged_rows_total",
  help: "Rows that lists left out since they can't be read",
  labelNames: ["service", "rpc", "table"],
});

const admission = {
  limit: new Gauge({
    name: "soldier_admission_limit",
    help: "Calls that may be served at the same time, now",
    labelNames: ["service"],
  }),
  running: new Gauge({
    name: "soldier_admission_running",
    help: "Calls with a place",
    labelNames: ["service"],
  }),
  waiting: new Gauge({
    name: "soldier_admission_waiting",
    help: "Calls that wait for a place",
    labelNames: ["service"],
  }),
  waits: new Histogram({
    name: "soldier_admission_wait_seconds",
    help: "How long calls waited for their place",
    labelNames: ["service"],
    buckets: [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  }),
  refused: new Counter({
    name: "soldier_admission_refused_total",
    help: "Calls refused because there was too much to do, by why",
    labelNames: ["service", "why"],
  }),
};

/** What is counted about one service's admission. */
export interface AdmissionMeter {
  limit(limit: number): void;
  admitted(running: number, waitedMs: number): void;
  left(running: number): void;
  waiting(waiting: number): void;
  refused(why: string): void;
}

export function admissionMeter(service: string): AdmissionMeter {
  const limit = admission.limit.labels(service);
  const running = admission.running.labels(service);
  const waiting = admission.waiting.labels(service);
  const waits = admission.waits.labels(service);
  return {
    limit: (now) => limit.set(now),
    admitted(now, waitedMs) {
      running.set(now);
      waits.observe(waitedMs / 1_000);
    },
    left: (now) => running.set(now),
    waiting: (now) => waiting.set(now),
    refused: (why) => admission.refused.labels(service, why).inc(),
  };
}
