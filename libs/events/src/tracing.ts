import { AsyncLocalStorage } from "node:async_hooks";
import {
  context,
  isSpanContextValid,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import type { Log } from "@soldier/kernel/log";
import type { EventHandler } from "./bus.ts";
import { deliveries, redelivered } from "./consumer-metrics.ts";

const tracer = trace.getTracer("soldier.events");

/** The running span as a W3C traceparent; undefined when there is none. */
export function traceparentOfNow(): string | undefined {
  const now = trace.getActiveSpan()?.spanContext();
  if (!now || !isSpanContextValid(now)) return undefined;
  return `00-${now.traceId}-${now.spanId}-${now.traceFlags.toString(16).padStart(2, "0")}`;
}

/**
 * The handler, in a span "consume <topic>" that continues the trace of the event's producer, so that
 * a turn and all that follows from it are one trace. It runs in the asynchronous context of whoever
 * calls this: in one process an event comes from somebody else's, with their service and caller.
 */
export function traced(consumer: string, handle: EventHandler, log: Log): EventHandler {
  const inOurContext = AsyncLocalStorage.snapshot();
  return (event, delivery) =>
    inOurContext(() => {
      const parent = parseTraceparent(event.traceparent);
      const from = parent ? trace.setSpanContext(context.active(), parent) : context.active();
      const options = {
        kind: SpanKind.CONSUMER,
        attributes: {
          "messaging.system": "soldier",
          "messaging.destination.name": event.topic,
          "messaging.consumer.group.name": consumer,
          "messaging.message.id": event.id,
          "soldier.attempt": delivery.attempt,
        },
      };
      return tracer.startActiveSpan(`consume ${event.topic}`, options, from, (span) =>
        ended(span, async () => {
          const { topic, id } = event;
          if (delivery.attempt > 1) redelivered.inc({ consumer, topic });
          await counted({ consumer, topic }, handle(event, delivery));
          log.debug({ topic, event_id: id, attempt: delivery.attempt }, "took an event");
        }),
      );
    });
}

async function counted(labels: { consumer: string; topic: string }, taking: Promise<void>) {
  try {
    await taking;
    deliveries.inc({ ...labels, outcome: "taken" });
  } catch (error) {
    deliveries.inc({ ...labels, outcome: "failed" });
    throw error;
  }
}

async function ended<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    span.setStatus({
      code: SpanStatusCode.ERROR,
      message: error instanceof Error ? error.name : "error",
    });
    throw error;
  } finally {
    span.end();
  }
}

function parseTraceparent(text: string | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(text ?? "") ?? [];
  if (!traceId || !spanId || !flags) return undefined;
  const parent = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
  return isSpanContextValid(parent) ? parent : undefined;
}
