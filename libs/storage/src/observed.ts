import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { Fault } from "@soldier/kernel/fault";
import { Histogram } from "prom-client";
import { storageFault } from "./faults.ts";

const duration = new Histogram({
  name: "soldier_store_duration_seconds",
  help: "Time of a store's method, by outcome",
  labelNames: ["store", "method", "outcome"],
  buckets: [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
});

const tracer = trace.getTracer("soldier.storage");

/** A method as a wrapper sees it; its own types are kept by `observed`'s signature. */
type Method = (this: unknown, ...args: readonly unknown[]) => unknown;

/**
 * The same store, with a span and a histogram around each asynchronous method, and a lost backend
 * told as a Fault (see storageFault). Methods may be in the object or in its class. What a method
 * returns without a promise (an async iterable, say) passes untouched.
 */
export function observed<Store extends object>(name: string, store: Store): Store {
  const wrapped = new Map<PropertyKey, Method>();
  return new Proxy(store, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function" || typeof property !== "string") return value;
      const found = wrapped.get(property);
      if (found) return found;
      // Stores are plain objects of functions; typeof has just said that this is one.
      const made = around(name, property, value.bind(target) as Method);
      wrapped.set(property, made);
      return made;
    },
  });
}

function around(store: string, method: string, call: Method): Method {
  const ok = duration.labels(store, method, "ok");
  return (...args) =>
    tracer.startActiveSpan(`${store} ${method}`, { kind: SpanKind.CLIENT }, (span) => {
      const started = performance.now();
      const seconds = () => (performance.now() - started) / 1_000;
      const failed = (error: unknown): never => {
        const fault = storageFault(error);
        const outcome = fault instanceof Fault ? fault.kind : "error";
        span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
        span.end();
        duration.labels(store, method, outcome).observe(seconds());
        throw fault;
      };
      try {
        const result = call(...args);
        if (!(result instanceof Promise)) {
          span.end();
          return result;
        }
        return result.then((value: unknown) => {
          span.end();
          ok.observe(seconds());
          return value;
        }, failed);
      } catch (error) {
        return failed(error);
      }
    });
}
