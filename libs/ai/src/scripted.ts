import { setTimeout as wait } from "node:timers/promises";
import type { Fault } from "@soldier/kernel/fault";
import { type Exchange, languageModel, type ModelOptions } from "./exchange.ts";
import type { LanguageModel, ModelRequest, StopReason } from "./language-model.ts";

/** One answer: a text, JSON for a structured call, a failure, or a text that ends badly. */
export type ScriptedAnswer =
  | string
  | { readonly json: unknown }
  | Fault
  | {
      readonly text: string;
      /** After the text: nothing more ever comes, or it fails. */
      readonly ending: "silence" | Fault;
    };

export interface ScriptedRequest extends ModelRequest {
  /** Which shape is asked for; undefined for plain text. */
  readonly schemaName: string | undefined;
}

/**
 * Answers in order, each used once, or chosen by the request and the number of the call from 0.
 * A list that runs out is an error of the test.
 */
export type Script =
  | readonly ScriptedAnswer[]
  | ((req: ScriptedRequest, call: number) => ScriptedAnswer | Promise<ScriptedAnswer>);

export interface ScriptedOptions extends ModelOptions {
  /** Default "scripted:model". */
  readonly id?: string;
  /** Before the first word. Default 0: at once. */
  readonly delayMs?: number;
  /** Before each further word. Default 0. */
  readonly wordDelayMs?: number;
}

export interface ScriptedModel extends LanguageModel {
  /** How often it was asked, repairs included. */
  readonly calls: number;
  /** The latest requests, oldest first; at most a hundred, so that a long run may use it. */
  readonly requests: readonly ScriptedRequest[];
}

const requestsMax = 100;

/** A model for tests and benchmarks: says what it was told to. Words count as tokens. */
export function scriptedModel(script: Script, options: ScriptedOptions = {}): ScriptedModel {
  const { id = "scripted:model", delayMs = 0, wordDelayMs = 0 } = options;
  const requests: ScriptedRequest[] = [];
  let calls = 0;

  async function answerTo(req: ScriptedRequest, call: number): Promise<ScriptedAnswer> {
    if (typeof script === "function") return script(req, call);
    const answer = script[call];
    if (answer === undefined) throw new Error(`${id} was asked ${call + 1} times, its script ends`);
    return answer;
  }

  const exchange: Exchange = async function* (plain, format, signal) {
    const req: ScriptedRequest = { ...plain, schemaName: format?.schemaName };
    requests.push(req);
    if (requests.length > requestsMax) requests.shift();
    const answer = await Promise.race([answerTo(req, calls++), aborted(signal)]);
    if (answer === undefined) return;
    if (delayMs > 0) await wait(delayMs, undefined, { signal });
    if (answer instanceof Error) throw answer;

    const { words, stopReason } = spoken(textOf(answer), req);
    for (const [i, text] of words.entries()) {
      if (wordDelayMs > 0 && i > 0) await wait(wordDelayMs, undefined, { signal });
      yield { kind: "text", text };
    }
    if (typeof answer === "object" && "ending" in answer) {
      if (answer.ending !== "silence") throw answer.ending;
      await aborted(signal);
      return;
    }
    const usage = {
      inputTokens: [...req.system, ...req.messages].reduce((n, { text }) => n + count(text), 0),
      outputTokens: words.length,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
    };
    yield { kind: "end", stopReason, usage, model: id };
  };

  return {
    ...languageModel(id, exchange, options),
    requests,
    get calls() {
      return calls;
    },
  };
}

function textOf(answer: Exclude<ScriptedAnswer, Fault>): string {
  if (typeof answer === "string") return answer;
  return "json" in answer ? JSON.stringify(answer.json) : answer.text;
}

/** What of the text is said, word by word, before the request's own ends stop it. */
function spoken(
  text: string,
  { stop = [], maxTokens }: ModelRequest,
): { readonly words: readonly string[]; readonly stopReason: StopReason } {
  const stopAt = Math.min(
    ...stop.map((end) => text.indexOf(end)).map((at) => (at < 0 ? Infinity : at)),
  );
  const words = text.slice(0, stopAt).match(/\s*\S+\s*$|\s*\S+/g) ?? [];
  if (words.length > maxTokens)
    return { words: words.slice(0, maxTokens), stopReason: "max-tokens" };
  return { words, stopReason: stopAt === Infinity ? "end" : "stop-sequence" };
}

function count(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}
