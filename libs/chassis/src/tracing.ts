import {
  type Attributes,
  type Context,
  context,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { parseTraceParent } from "@opentelemetry/core";
import { Fault } from "@soldier/kernel/fault";
import { contextWithService, serviceIn } from "./current.ts";
import "./telemetry.ts"; // sets the provider that the tracer below asks

/** Starts spans of the service that is running. */
export const tracer = trace.getTracer("soldier");

/** 32 hexadecimal digits, the same in every service that a request goes through. */
export function currentTraceId(): string | undefined {
  return trace.getSpanContext(context.active())?.traceId;
}

/** The current span for an event's header, in the W3C format; undefined outside of any. */
export function traceparent(): string | undefined {
  const found = trace.getSpanContext(context.active());
  return found && traceparentOf(found);
}

export function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-0${traceFlags & 1}`;
}

/** The context with the span that the header names as its parent, if it names one. */
export function contextFrom(base: Context, header: string | null | undefined): Context {
  const remote = header ? parseTraceParent(header) : null;
  return remote ? trace.setSpanContext(base, { ...remote, isRemote: true }) : base;
}

/** Runs the function in a span that ends with it, and tells whether it failed. */
export function span<T>(
  name: string,
  attributes: Attributes,
  run: (span: Span) => Promise<T>,
): Promise<T> {
  return spanning(name, { kind: SpanKind.INTERNAL, attributes }, context.active(), run);
}

/**
 * Runs the function as what happens next in the trace of an event: without the deadline,
 * cancellation and identity of whatever is running here now. Without a traceparent a trace begins.
 */
export function continuing<T>(
  header: string | undefined,
  name: string,
  run: (span: Span) => Promise<T>,
): Promise<T> {
  const service = serviceIn(context.active());
  const base = service ? contextWithService(ROOT_CONTEXT, service) : ROOT_CONTEXT;
  return spanning(name, { kind: SpanKind.CONSUMER }, contextFrom(base, header), run);
}

async function spanning<T>(
  name: string,
  options: { readonly kind: SpanKind; readonly attributes?: Attributes },
  parent: Context,
  run: (span: Span) => Promise<T>,
): Promise<T> {
  const started = tracer.startSpan(name, options, parent);
  try {
    return await context.with(trace.setSpan(parent, started), () => run(started));
  } catch (error) {
    fail(started, error);
    throw error;
  } finally {
    started.end();
  }
}

/** Marks a span as failed; messages may hold a customer's words, so only the reason is told. */
export function fail(failed: Span, error: unknown): void {
  const message = error instanceof Fault ? error.reason : "INTERNAL";
  failed.setStatus({ code: SpanStatusCode.ERROR, message });
}
