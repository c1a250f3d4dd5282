import { systemClock } from "@soldier/kernel/clock";
import type { z } from "zod";
import { cancelled, throwIfCancelled } from "./cancelled.ts";
import {
  collect,
  type GenerationChunk,
  type LanguageModel,
  modelFault,
  type ModelRequest,
  type StopReason,
  type Usage,
} from "./language-model.ts";
import { observedExchange } from "./observed-exchange.ts";
import type { Prices } from "./prices.ts";
import { structured } from "./structured.ts";
import { telling } from "./telling.ts";
import type { Turnstile } from "./turnstile.ts";

/** The shape that an answer must have: JSON that fits the schema. */
export interface Format {
  readonly schema: z.ZodType;
  readonly schemaName: string;
}

/** Any number of texts, then one end. */
export type ExchangePart =
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "end";
      readonly stopReason: StopReason;
      readonly usage: Usage;
      /** What answered, as the provider names it. */
      readonly model: string;
    };

/**
 * One call to a provider: all that differs between them. Failures are Faults of `modelFault`; when
 * the signal aborts it ends or throws soon, however it likes.
 */
export type Exchange = (
  req: ModelRequest,
  format: Format | undefined,
  signal: AbortSignal,
) => AsyncIterable<ExchangePart>;

export interface Limits {
  /** From the call to its end, waiting at the turnstile included. */
  readonly timeoutMs: number;
  /** From the call to the first text. */
  readonly firstTokenTimeoutMs: number;
}

/** What the settings say of any model. */
export interface ModelOptions {
  readonly limits?: Limits | undefined;
  /** Undefined when they are unknown. */
  readonly prices?: Prices | undefined;
  /** Lets only so many calls through at a time. */
  readonly turnstile?: Turnstile | undefined;
}

export const defaultLimits: Limits = { timeoutMs: 60_000, firstTokenTimeoutMs: 20_000 };

/** A LanguageModel out of a provider's exchange, with the time-outs, traces and metrics of all. */
export function languageModel(
  id: string,
  exchange: Exchange,
  { limits = defaultLimits, prices, turnstile }: ModelOptions = {},
): LanguageModel {
  const admitted = turnstile ? oneByOne(exchange, turnstile) : exchange;
  const observed = observedExchange(id, (req, format, signal) =>
    timed(admitted, limits, req, format, signal),
  );
  return {
    id,
    generate: (req, signal) =>
      telling(id, prices, req).whole((measure) =>
        collect(measure(observed(req, undefined, signal))),
      ),
    stream: (req, signal) => telling(id, prices, req).pieces(observed(req, undefined, signal)),
    structured: (req, signal) =>
      telling(id, prices, req).whole((measure) =>
        structured((asked) => collect(measure(observed(asked, req, signal))), req),
      ),
  };
}

/** Waits for its turn before it asks, and holds its place until the answer has ended. */
function oneByOne(exchange: Exchange, turnstile: Turnstile): Exchange {
  return async function* admitted(req, format, signal) {
    const leave = await turnstile.enter(signal);
    try {
      yield* exchange(req, format, signal);
    } finally {
      leave();
    }
  };
}

/** Runs the exchange within its limits, and says how long it took. */
async function* timed(
  exchange: Exchange,
  limits: Limits,
  req: ModelRequest,
  format: Format | undefined,
  signal: AbortSignal,
): AsyncGenerator<GenerationChunk, void, undefined> {
  throwIfCancelled(signal);
  const startedMs = systemClock.monotonicMs();
  const elapsedMs = () => systemClock.monotonicMs() - startedMs;
  const own = new AbortController();
  const either = AbortSignal.any([signal, own.signal]);
  const expire = (ms: number, what: string) =>
    setTimeout(
      () => own.abort(modelFault("MODEL_TIMEOUT", `the model gave no ${what} in ${ms} ms`)),
      ms,
    );
  const whole = expire(limits.timeoutMs, "complete answer");
  const firstToken = expire(limits.firstTokenTimeoutMs, "first word");
  try {
    let text = "";
    let firstTokenMs: number | undefined;
    for await (const part of exchange(req, format, either)) {
      throwIfCancelled(either);
      clearTimeout(firstToken);
      if (part.kind === "text") {
        firstTokenMs ??= elapsedMs();
        text += part.text;
        yield part;
      } else {
        const { stopReason, usage, model } = part;
        const latencyMs = elapsedMs();
        const generation = { text, stopReason, usage, model, latencyMs };
        yield {
          kind: "end",
          generation: { ...generation, firstTokenMs: firstTokenMs ?? latencyMs },
        };
        return;
      }
    }
    throwIfCancelled(either); // an aborted exchange may just end
    throw modelFault("MODEL_UNAVAILABLE", "the model's answer broke off");
  } catch (error) {
    throw either.aborted ? cancelled(either) : error;
  } finally {
    clearTimeout(whole);
    clearTimeout(firstToken);
    own.abort(); // whoever left early, the exchange ends too
  }
}
