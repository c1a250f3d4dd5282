import { Fault } from "@soldier/kernel/fault";
import type { z } from "zod";

/** One piece of the system prompt. Order the pieces from the most stable to the most changing. */
export interface SystemBlock {
  readonly text: string;
  /**
   * Everything up to the end of this block is the same in many calls, so a provider that caches
   * prompts may keep it. At most four such ends are used; with more, the last four.
   */
  readonly cacheable?: boolean;
}

export interface Message {
  readonly role: "user" | "assistant";
  readonly text: string;
}

export interface ModelRequest {
  readonly system: readonly SystemBlock[];
  /** Oldest first. The last one is the user's: current models refuse to continue their own words. */
  readonly messages: readonly Message[];
  /** Bound on what the model may write, its hidden reasoning included. */
  readonly maxTokens: number;
  /** Texts that end the generation; they are not part of the result. */
  readonly stop?: readonly string[];
  /** 0 to 2. Not sent to models that refuse one; undefined leaves it to the provider. */
  readonly temperature?: number;
  /**
   * Told of every call of a model that the request leads to, as it ends: the one that answered,
   * those of a chain that failed before it, and those that were passed over.
   */
  readonly onCall?: (call: ModelCall) => void;
}

/** How one call of one model went. A repair of a structured answer counts into its call. */
export interface ModelCall {
  /** The model's id, "provider:model". */
  readonly model: string;
  /** The fault's reason; undefined when it answered, or when its reader left. */
  readonly failed?: string;
  /** From the call to its end; 0 when it was passed over because it is left alone for a while. */
  readonly durationMs: number;
  /** From the call to the first text; undefined when none came. */
  readonly firstTokenMs?: number;
  /** What was used, also by answers that did not fit; undefined when the provider did not say. */
  readonly usage?: Usage;
  /** What that cost, in millionths of a US dollar; undefined when usage or prices are unknown. */
  readonly costMicros?: number;
}

export interface StructuredRequest<T> extends ModelRequest {
  readonly schema: z.ZodType<T>;
  /** Names the shape in traces, metrics and scripts, e.g. "judgement". */
  readonly schemaName: string;
}

/** Tokens as the provider bills them; inputTokens excludes those read from or written to its cache. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
}

export type StopReason = "end" | "max-tokens" | "stop-sequence";

interface Finished {
  readonly usage: Usage;
  /** What answered, as the provider names it; may be more exact than what was asked for. */
  readonly model: string;
  /** From the call to the last token. */
  readonly latencyMs: number;
  /** From the call to the first text; the same as latencyMs when there was none. */
  readonly firstTokenMs: number;
}

export interface Generation extends Finished {
  readonly text: string;
  readonly stopReason: StopReason;
}

/** Any number of texts, then exactly one end, whose text is all of them joined. */
export type GenerationChunk =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "end"; readonly generation: Generation };

export interface Structured<T> extends Finished {
  readonly value: T;
  /** 1, or 2 when the first answer did not fit the schema and was repaired. usage counts both. */
  readonly attempts: number;
}

/**
 * A model that writes text. It never retries: whoever calls decides what a failure means.
 *
 * Failures are Faults, each with a reason of `modelFaults`. When the signal aborts, the call ends
 * at once with the Fault of `cancelled`. A stream that fails has kept the order of what it gave.
 */
export interface LanguageModel {
  /** "provider:model", as recorded with each turn. */
  readonly id: string;
  generate(req: ModelRequest, signal: AbortSignal): Promise<Generation>;
  /** Leaving the loop early cancels the call. */
  stream(req: ModelRequest, signal: AbortSignal): AsyncIterable<GenerationChunk>;
  /** A value that fits the schema. The model gets one chance to repair an answer that does not. */
  structured<T>(req: StructuredRequest<T>, signal: AbortSignal): Promise<Structured<T>>;
}

/** Why a model failed to answer, and the kind of fault that it is. */
const modelFaults = {
  /** The provider is at its limits for everyone. */
  MODEL_OVERLOADED: "unavailable",
  /** This account's limit; retryAfterMs when the provider said it. */
  MODEL_RATE_LIMITED: "exhausted",
  /** No first token, or no end, in the time allowed by the settings. */
  MODEL_TIMEOUT: "deadline",
  /** The model or its provider declines to answer this. Asking again won't help. */
  MODEL_REFUSED: "precondition",
  /** Key missing, wrong, without rights, or without funds. */
  MODEL_AUTH: "precondition",
  /** The provider rejects the request itself: unknown model, too long, a parameter it lacks. */
  MODEL_BAD_REQUEST: "precondition",
  /** The answer does not fit the schema, even after one repair. */
  MODEL_BAD_OUTPUT: "internal",
  /** Not reachable, broken off, or failing inside. */
  MODEL_UNAVAILABLE: "unavailable",
} as const;

export type ModelFaultReason = keyof typeof modelFaults;

/** Whether another model may do better; a call that was cancelled is no failure of the model's. */
export function isModelFault({ reason }: Fault): boolean {
  return Object.hasOwn(modelFaults, reason);
}

export function modelFault(
  reason: ModelFaultReason,
  message: string,
  options: { readonly cause?: unknown; readonly retryAfterMs?: number } = {},
): Fault {
  return new Fault(modelFaults[reason], message, { ...options, reason });
}

export const noUsage: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
};

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    cacheReadTokens: a.cacheReadTokens + b.cacheReadTokens,
    cacheWriteTokens: a.cacheWriteTokens + b.cacheWriteTokens,
  };
}

/** The end of a stream, whose text is all that came before it. */
export async function collect(stream: AsyncIterable<GenerationChunk>): Promise<Generation> {
  for await (const chunk of stream) if (chunk.kind === "end") return chunk.generation;
  throw modelFault("MODEL_UNAVAILABLE", "the model's answer ended without its end");
}
