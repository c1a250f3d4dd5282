import { setTimeout as wait } from "node:timers/promises";
import { Fault } from "@soldier/kernel/fault";
import type { Log } from "@soldier/kernel/log";
import { timeoutSignal } from "@soldier/kernel/timeout-signal";
import { cancelled, throwIfCancelled } from "./cancelled.ts";
import { type Embedder, embedderUnavailable, type TextRole } from "./embedder.ts";
import { HttpFailure } from "./http.ts";
import { retryAfter } from "./provider-fault.ts";
import type { Turnstile } from "./turnstile.ts";

export interface HttpEmbedderOptions {
  readonly provider: string;
  readonly model: string;
  /** Of the model's vectors; others are refused. */
  readonly dimensions: number;
  /** For one call to the provider. */
  readonly timeoutMs: number;
  /** Lets only so many calls through at a time. */
  readonly turnstile: Turnstile;
  readonly log: Log;
}

/** What differs between providers. */
export interface EmbeddingApi {
  /** In one call. */
  readonly textsMax: number;
  /** Of one text; longer ones count by their beginning. */
  readonly charactersMax: number;
  /** One list of numbers per text. Throws an HttpFailure, what fetch throws, or a ZodError. */
  send(
    texts: readonly string[],
    role: TextRole,
    signal: AbortSignal,
  ): Promise<readonly (readonly number[])[]>;
}

/** In one call, of all its texts: below what providers allow in tokens, whatever the language. */
const callCharactersMax = 200_000;
const attemptsMax = 3;
const pauseMs = 200;
const pauseMaxMs = 5_000;
/** Providers refuse a text without words, but it must have a vector, too. */
const inPlaceOfNothing = ".";

/** An embedder behind HTTP: splits, cuts, checks, and asks again what is likely to pass. */
export function httpEmbedder(options: HttpEmbedderOptions, api: EmbeddingApi): Embedder {
  const { provider, model, dimensions, timeoutMs, turnstile, log } = options;

  function prepared(text: string): string {
    const sendable = text.trim() === "" ? inPlaceOfNothing : text.slice(0, api.charactersMax);
    if (sendable.length < text.length && text.trim() !== "")
      log.debug({ model, characters: text.length, kept: sendable.length }, "cut a text to embed");
    return sendable.toWellFormed(); // half of a surrogate pair is no UTF-8
  }

  async function ask(texts: readonly string[], role: TextRole, signal: AbortSignal) {
    const leave = await turnstile.enter(signal);
    const timer = timeoutSignal(timeoutMs);
    try {
      const rows = await api.send(texts, role, AbortSignal.any([signal, timer]));
      return checked(rows, texts.length, dimensions);
    } catch (error) {
      if (timer.aborted && !signal.aborted)
        throw embedderUnavailable(
          `the embedding provider gave no answer in ${timeoutMs} ms`,
          error,
        );
      throw error;
    } finally {
      leave();
    }
  }

  async function asked(texts: readonly string[], role: TextRole, signal: AbortSignal) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask(texts, role, signal);
      } catch (error) {
        throwIfCancelled(signal);
        const pause = pauseAfter(error, attempt);
        if (pause === undefined || attempt >= attemptsMax) throw faultOf(error, model);
        await wait(pause, undefined, { signal }).catch(() => throwIfCancelled(signal));
      }
    }
  }

  return {
    // A colon parts the name; some providers have one inside of a model's.
    model: `${provider}:${model.replaceAll(":", "@")}:${dimensions}`,
    dimensions,
    async embed(texts, signal, role = "document") {
      throwIfCancelled(signal);
      const failing = new AbortController();
      const either = AbortSignal.any([signal, failing.signal]);
      try {
        const calls = batches(texts.map(prepared), api.textsMax);
        return (await Promise.all(calls.map((batch) => asked(batch, role, either)))).flat();
      } catch (error) {
        failing.abort(error); // all or none: the other calls are not needed any more
        throw signal.aborted ? cancelled(signal) : error;
      }
    },
  };
}

function batches(texts: readonly string[], textsMax: number): string[][] {
  const made: string[][] = [];
  let characters = 0;
  for (const text of texts) {
    const last = made.at(-1);
    if (!last || last.length >= textsMax || characters + text.length > callCharactersMax) {
      made.push([text]);
      characters = text.length;
    } else {
      last.push(text);
      characters += text.length;
    }
  }
  return made;
}

/** The vectors, each of length 1. */
function checked(
  rows: readonly (readonly number[])[],
  count: number,
  dimensions: number,
): Float32Array[] {
  if (rows.length !== count)
    throw embedderUnavailable(
      `the embedding provider gave ${rows.length} vectors for ${count} texts`,
    );
  return rows.map((row) => {
    if (row.length !== dimensions)
      throw embedderUnavailable(
        `the embedding model gives ${row.length} dimensions, but dimensions in the [embedder] ` +
          `settings says ${dimensions}: set it to ${row.length}`,
      );
    const length = Math.hypot(...row);
    if (!(length > 0)) throw embedderUnavailable("the embedding model gave a vector of no length");
    return Float32Array.from(row, (x) => x / length);
  });
}

/** How long to wait before asking again; undefined when that would not help. */
function pauseAfter(error: unknown, attempt: number): number | undefined {
  const standard = pauseMs * 2 ** (attempt - 1);
  if (error instanceof TypeError && error.cause instanceof Error) return standard;
  if (!(error instanceof HttpFailure)) return undefined;
  if (error.status !== 429 && error.status < 500) return undefined;
  const told = retryAfter(error.headers) ?? standard;
  return told <= pauseMaxMs ? told : undefined;
}

function faultOf(error: unknown, model: string): unknown {
  if (error instanceof Fault) return error;
  if (error instanceof HttpFailure) {
    const { status, headers } = error;
    return embedderUnavailable(whatStatusSays(status, model), error, retryAfter(headers));
  }
  return embedderUnavailable("the embedding provider can't be reached, or makes no sense", error);
}

function whatStatusSays(status: number, model: string): string {
  if (status === 401 || status === 402 || status === 403)
    return (
      "the embedding provider refuses the account: check api_key in the [embedder] settings " +
      "(SOLDIER_EMBEDDER__API_KEY), its rights and its credit"
    );
  if (status === 404)
    return `the embedding provider does not know "${model}": check model and base_url in the [embedder] settings`;
  if (status === 429) return "the embedding provider's rate limit is reached";
  return `the embedding provider answers with status ${status}`;
}
