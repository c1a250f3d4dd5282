import { type Context, context, createContextKey } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import type { Identity } from "./identity.ts";

// One asynchronous storage carries both the span and the call, so that a library that only knows
// OpenTelemetry's API still finds its parent span. Set at import: there must never be two.
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());

/** What the code that is running now is running for. */
export interface CurrentCall {
  readonly identity?: Identity | undefined;
  /** When the call must have ended, on performance.now()'s scale. */
  readonly deadlineAtMs?: number | undefined;
  /** Aborts when the call is cancelled or its deadline passes. */
  readonly signal?: AbortSignal | undefined;
}

/** A call while it is being admitted: each interceptor adds what it has found out. */
type Admission = { -readonly [K in keyof CurrentCall]: CurrentCall[K] };

const callKey = createContextKey("soldier.call");
const serviceKey = createContextKey("soldier.service");

const nothing: CurrentCall = {};

export function currentCall(): CurrentCall {
  // Only this file writes the key, always with a CurrentCall.
  return (context.active().getValue(callKey) as CurrentCall | undefined) ?? nothing;
}

/** The context with a call in it. */
export function contextWithCall(base: Context, call: CurrentCall): Context {
  return base.setValue(callKey, call);
}

/** The context of a call that has just arrived, of which nothing is known yet. */
export function contextWithArrival(base: Context): Context {
  const arrival: Admission = { identity: undefined, deadlineAtMs: undefined, signal: undefined };
  return contextWithCall(base, arrival);
}

/** Adds to the call that is being admitted. Only the chassis' own interceptors do so. */
export function admit(found: Partial<CurrentCall>): void {
  // contextWithArrival made it; handlers, who see it read-only, have not begun.
  Object.assign(currentCall() as Admission, found);
}

/** The service that runs in a context; undefined outside all of them. */
export function serviceIn(ctx: Context): string | undefined {
  // Only this file writes the key, always with a string.
  return ctx.getValue(serviceKey) as string | undefined;
}

export function contextWithService(base: Context, service: string): Context {
  return base.setValue(serviceKey, service);
}

/** Runs the function, and all it starts, as the service's own code. */
export function runningService<T>(service: string, run: () => T): T {
  return context.with(contextWithService(context.active(), service), run);
}

export function withIdentity<T>(identity: Identity, run: () => T): T {
  const call = { ...currentCall(), identity };
  return context.with(contextWithCall(context.active(), call), run);
}

/**
 * Runs the function with the identity and trace of the current call but without its deadline and
 * cancellation: for work that goes on after the answer.
 */
export function detached<T>(run: () => T): T {
  const { identity } = currentCall();
  return context.with(contextWithCall(context.active(), { identity }), run);
}
