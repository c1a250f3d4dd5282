import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { left } from "./around.ts";
import { contextWithCall, contextWithService } from "./current.ts";
import type { Logger } from "./log.ts";
import { httpDuration, httpRequests } from "./metrics.ts";
import type { HttpHandler } from "./service.ts";
import { contextFrom, tracer } from "./tracing.ts";

/**
 * A service's plain HTTP handler with a span, metrics and a log line around each request. Calls
 * that it makes end when the client leaves.
 */
export function observedHttp(service: string, log: Logger, handler: HttpHandler): HttpHandler {
  const root = contextWithService(ROOT_CONTEXT, service);
  return (req, res) => {
    const startedMs = performance.now();
    const leaving = new AbortController();
    const header = req.headers["traceparent"];
    const base = contextWithCall(root, { signal: leaving.signal });
    const parent = contextFrom(base, typeof header === "string" ? header : undefined);
    const method = req.method ?? "GET";
    const span = tracer.startSpan(`HTTP ${method}`, { kind: SpanKind.SERVER }, parent);
    const here = trace.setSpan(parent, span);
    res.once("close", () => {
      if (!res.writableFinished) leaving.abort(left());
      const elapsedMs = performance.now() - startedMs;
      const status = res.statusCode;
      httpRequests.labels(service, method, String(status)).inc();
      httpDuration.labels(service, method).observe(elapsedMs / 1_000);
      span.setAttribute("http.response.status_code", status);
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
      context.with(here, () => {
        // The path without its query: that may hold what customers typed.
        const path = (req.url ?? "/").split("?")[0];
        const facts = { method, path, status, elapsed_ms: Math.round(elapsedMs * 100) / 100 };
        // Of 503 whoever was away or overloaded has told; under a flood there are thousands.
        if (status >= 500 && status !== 503) log.error(facts, "failed");
        else log.debug(facts, "answered");
      });
    });
    context.with(here, () => handler(req, res));
  };
}

/** For an edge without routes of its own. */
export const nothingHere: HttpHandler = (_, res) => {
  res.writeHead(404, { "content-type": "application/json" });
  res.end(JSON.stringify({ code: "not_found", message: "there is nothing at this path" }));
};
