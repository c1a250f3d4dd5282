import { Anthropic } from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import type {
  MessageCreateParamsStreaming,
  MessageDeltaUsage,
  StopReason as AnthropicStopReason,
  TextBlockParam,
  ThinkingConfigParam,
  Usage as AnthropicUsage,
} from "@anthropic-ai/sdk/resources/messages";
import { anthropicFault } from "./anthropic-fault.ts";
import {
  type Exchange,
  type Format,
  languageModel,
  type Limits,
  type ModelOptions,
} from "./exchange.ts";
import {
  type LanguageModel,
  modelFault,
  type ModelRequest,
  type StopReason,
  type SystemBlock,
  type Usage,
} from "./language-model.ts";

export interface AnthropicOptions extends ModelOptions {
  readonly apiKey: string;
  /** A name that the provider knows, e.g. "claude-sonnet-5-5". */
  readonly model: string;
  readonly baseUrl: string;
  readonly limits: Limits;
  /** The table of the settings, e.g. "models.spare": messages point there. */
  readonly table?: string | undefined;
  /** "auto" asks for as little as the model is known to allow: a customer is waiting. */
  readonly thinking: "auto" | "disabled" | "between_tools" | "adaptive";
  /** How thorough the model is; undefined leaves it to the provider. */
  readonly effort?: "low" | "medium" | "high" | "xhigh" | "max" | undefined;
}

/**
 * Claude, by Anthropic's Messages API. Every call streams, so that the first-token limit holds for
 * all of them and a long answer never sits on a silent connection.
 */
export function anthropicModel(options: AnthropicOptions): LanguageModel {
  const client = new Anthropic({
    apiKey: options.apiKey,
    authToken: null,
    baseURL: options.baseUrl,
    timeout: options.limits.timeoutMs,
    maxRetries: 0, // whoever calls has the other providers and the deadline in view
    logLevel: "off", // its warnings quote the stream; what fails is thrown anyway
    openTelemetry: false, // our own span is around the call, for every provider the same
  });

  const exchange: Exchange = async function* (req, format, signal) {
    try {
      const events = await client.messages.create(body(options, req, format), { signal });
      let usage: Usage | undefined;
      let model = options.model;
      let stopReason: AnthropicStopReason | null = null;
      for await (const event of events) {
        switch (event.type) {
          case "message_start":
            model = event.message.model;
            usage = usageOf(event.message.usage);
            break;
          case "content_block_delta":
            // Reasoning has deltas of its own kind and is not for the customer.
            if (event.delta.type === "text_delta") yield { kind: "text", text: event.delta.text };
            break;
          case "message_delta":
            usage = usageOf(event.usage, usage);
            stopReason = event.delta.stop_reason;
            if (stopReason === "refusal")
              throw modelFault("MODEL_REFUSED", "the model declines to answer this");
            break;
          case "message_stop":
            if (usage && stopReason)
              yield { kind: "end", stopReason: stopReasons[stopReason], usage, model };
            return;
          case "content_block_start":
          case "content_block_stop":
            break;
        }
      }
    } catch (error) {
      throw anthropicFault(error, options);
    }
  };
  return languageModel(`anthropic:${options.model}`, exchange, options);
}

function body(
  { model, thinking, effort }: AnthropicOptions,
  req: ModelRequest,
  format: Format | undefined,
): MessageCreateParamsStreaming {
  const how = thinking === "auto" ? leastThinking(model, effort) : { type: thinking };
  return {
    model,
    max_tokens: req.maxTokens,
    stream: true,
    system: systemOf(req.system),
    messages: req.messages.map(({ role, text }) => ({ role, content: text })),
    ...(req.temperature !== undefined && takesTemperature(model) && how === undefined
      ? { temperature: Math.min(req.temperature, 1) }
      : {}),
    ...(req.stop?.length ? { stop_sequences: [...req.stop] } : {}),
    ...(how ? { thinking: how } : {}),
    ...(effort || format
      ? {
          output_config: {
            ...(effort ? { effort } : {}),
            ...(format ? { format: jsonSchema(format) } : {}),
          },
        }
      : {}),
  };
}

const thinkingCanBeOff = new Set(["claude-haiku-5-5", "claude-sonnet-5", "claude-opus-5"]);

/**
 * Models differ in how thinking is switched off, and refuse the wrong way. Those left out either
 * don't think unless asked, or can't be stopped.
 */
function leastThinking(
  model: string,
  effort: AnthropicOptions["effort"],
): ThinkingConfigParam | undefined {
  if (effort === "xhigh" || effort === "max") return undefined; // these need it
  if (model === "claude-sonnet-5-5") return { type: "between_tools" };
  if (thinkingCanBeOff.has(model)) return { type: "disabled" };
  return undefined;
}

/**
 * Models after 4.6 refuse a temperature, whether or not they think, and the client's types have none
 * any more. The others refuse it while they think.
 */
function takesTemperature(model: string): boolean {
  return /^claude-(3-|(haiku|sonnet|opus)-4(-[0-6])?(-\d{8})?$)/.test(model);
}

const cacheEndsMax = 4;

function systemOf(blocks: readonly SystemBlock[]): TextBlockParam[] {
  const full = blocks.filter(({ text }) => text.trim() !== ""); // the API refuses empty ones
  const ends = full.flatMap(({ cacheable }, i) => (cacheable ? [i] : [])).slice(-cacheEndsMax);
  return full.map(({ text }, i) => ({
    type: "text",
    text,
    ...(ends.includes(i) ? { cache_control: { type: "ephemeral" } } : {}),
  }));
}

/** The provider holds the model to this while it writes; bounds it can't hold become descriptions. */
function jsonSchema({ schema }: Format): { type: "json_schema"; schema: Record<string, unknown> } {
  return { type: "json_schema", schema: zodOutputFormat(schema).schema };
}

const stopReasons: Record<AnthropicStopReason, StopReason> = {
  end_turn: "end",
  max_tokens: "max-tokens",
  model_context_window_exceeded: "max-tokens",
  stop_sequence: "stop-sequence",
  // None of these ends a call without tools, and a refusal has been thrown.
  pause_turn: "end",
  tool_use: "end",
  refusal: "end",
};

/** Counts are cumulative; the last message of a stream may leave out those that can't have changed. */
function usageOf(now: AnthropicUsage | MessageDeltaUsage, before?: Usage): Usage {
  return {
    inputTokens: now.input_tokens ?? before?.inputTokens ?? 0,
    outputTokens: now.output_tokens,
    cacheReadTokens: now.cache_read_input_tokens ?? before?.cacheReadTokens ?? 0,
    cacheWriteTokens: now.cache_creation_input_tokens ?? before?.cacheWriteTokens ?? 0,
  };
}
