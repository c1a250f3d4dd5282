import {
  type Context,
  context,
  diag,
  DiagLogLevel,
  type Span,
  type SpanContext,
  type SpanOptions,
  trace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  type Sampler,
  SamplingDecision,
  SimpleSpanProcessor,
  type SpanExporter,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { ChassisSettings } from "./chassis-settings.ts";
import { serviceIn } from "./current.ts";
import type { Logger } from "./log.ts";

/** Spans go to every recording that is open; with none they are nearly free, and ids still exist. */
interface Recording {
  readonly processor: SpanProcessor;
  readonly sampler: Sampler;
}

const recordings = new Set<Recording>();
const ids = new RandomIdGenerator();

export function isRecording(): boolean {
  return recordings.size > 0;
}

const sampler: Sampler = {
  shouldSample(...args) {
    let best: ReturnType<Sampler["shouldSample"]> = { decision: SamplingDecision.NOT_RECORD };
    for (const recording of recordings) {
      const result = recording.sampler.shouldSample(...args);
      if (result.decision > best.decision) best = result;
    }
    return best;
  },
  toString: () => "the most generous of the open recordings",
};

const processor: SpanProcessor = {
  onStart(span, parent) {
    span.setAttribute("soldier.service", serviceIn(parent) ?? "soldier");
    for (const recording of recordings) recording.processor.onStart(span, parent);
  },
  onEnd(span) {
    for (const recording of recordings) recording.processor.onEnd(span);
  },
  async forceFlush() {
    await Promise.all([...recordings].map((recording) => recording.processor.forceFlush()));
  },
  async shutdown() {
    await Promise.all([...recordings].map((recording) => recording.processor.shutdown()));
  },
};

// One provider a service, so that a span tells whose it is also when many share a process.
const providers = new Map<string, TracerProvider>();

function providerOf(service: string): TracerProvider {
  const known = providers.get(service);
  if (known) return known;
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": service }),
    sampler,
    spanProcessors: [processor],
  });
  providers.set(service, provider);
  return provider;
}

/** A tracer that asks the context which service it works for. */
function tracerNamed(name: string, version?: string): Tracer {
  const tracers = new Map<string, Tracer>();
  const tracerFor = (service: string): Tracer => {
    const known = tracers.get(service);
    if (known) return known;
    const tracer = providerOf(service).getTracer(name, version);
    tracers.set(service, tracer);
    return tracer;
  };
  const startSpan = (span: string, options?: SpanOptions, ctx: Context = context.active()): Span =>
    isRecording()
      ? tracerFor(serviceIn(ctx) ?? "soldier").startSpan(span, options, ctx)
      : trace.wrapSpanContext(idsOnly(options?.root ? undefined : trace.getSpanContext(ctx)));
  return { startSpan, startActiveSpan: activeSpanStarter(startSpan) };
}

/** The parent's ids, or new ones: what a span that nobody records still has to tell. */
function idsOnly(parent: SpanContext | undefined): SpanContext {
  return (
    parent ?? {
      traceId: ids.generateTraceId(),
      spanId: ids.generateSpanId(),
      traceFlags: TraceFlags.NONE,
    }
  );
}

function activeSpanStarter(startSpan: Tracer["startSpan"]): Tracer["startActiveSpan"] {
  // The signature is four overloads with the function always last.
  return (name: string, ...rest: readonly unknown[]) => {
    const run = rest.at(-1) as (span: Span) => never;
    const [options, ctx] = rest.slice(0, -1) as [SpanOptions?, Context?];
    const parent = ctx ?? context.active();
    const span = startSpan(name, options, parent);
    // Nobody records: it has its parent's ids, which whoever asks for the current span then finds.
    if (!ctx && span.spanContext() === trace.getSpanContext(parent)) return run(span);
    return context.with(trace.setSpan(parent, span), () => run(span));
  };
}

// Libraries that know only OpenTelemetry's API get our tracers through it.
trace.setGlobalTracerProvider({ getTracer: tracerNamed });

export interface TelemetryOptions {
  readonly settings: ChassisSettings["telemetry"];
  readonly log: Logger;
  /** Gets every span as soon as it ends, whatever the settings say: for tests. */
  readonly exporter?: SpanExporter | undefined;
}

/** Records spans until disposed of; then what is left is sent, for at most five seconds. */
export function openTelemetry({ settings, log, exporter }: TelemetryOptions): AsyncDisposable {
  const opened: Recording[] = [];
  if (settings.otlp_url !== "") {
    reportTroubleTo(log);
    const otlp = new OTLPTraceExporter({ url: settings.otlp_url, timeoutMillis: 5_000 });
    opened.push({
      processor: new BatchSpanProcessor({ exporter: otlp, exportTimeoutMillis: 5_000 }),
      sampler: new ParentBasedSampler({
        root: new TraceIdRatioBasedSampler(settings.sample_ratio),
      }),
    });
  }
  if (exporter)
    opened.push({ processor: new SimpleSpanProcessor({ exporter }), sampler: everything });
  for (const recording of opened) recordings.add(recording);
  return {
    async [Symbol.asyncDispose]() {
      for (const recording of opened) recordings.delete(recording);
      const closed = await Promise.allSettled(opened.map((one) => one.processor.shutdown()));
      for (const result of closed)
        if (result.status === "rejected")
          log.warn({ error: result.reason }, "the last traces were lost");
    },
  };
}

const everything: Sampler = {
  shouldSample: () => ({ decision: SamplingDecision.RECORD_AND_SAMPLED }),
  toString: () => "everything",
};

/** An exporter that cannot deliver says so in our log, not on the console. */
function reportTroubleTo(log: Logger): void {
  const warn = (message: string, ...args: readonly unknown[]) =>
    log.warn({ detail: args.map(String) }, `telemetry: ${message}`);
  const quiet = () => {};
  diag.setLogger(
    { error: warn, warn, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
