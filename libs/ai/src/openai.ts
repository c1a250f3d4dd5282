import { APIError, OpenAI } from "openai";
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import { z } from "zod";
import {
  type Exchange,
  type ExchangePart,
  type Format,
  languageModel,
  type Limits,
  type ModelOptions,
} from "./exchange.ts";
import { shapeInWords } from "./json-format.ts";
import {
  type LanguageModel,
  modelFault,
  type ModelRequest,
  noUsage,
  type StopReason,
  type Usage,
} from "./language-model.ts";
import { withoutLeadingThought } from "./leading-thought.ts";
import { adapted, type Dialect, firstDialect, refusalsMax } from "./openai-dialect.ts";
import { openaiFault } from "./openai-fault.ts";
import { responseFormat } from "./openai-schema.ts";

export interface OpenaiOptions extends ModelOptions {
  /** Empty for a server that asks for none. */
  readonly apiKey: string;
  readonly model: string;
  /** With its version, e.g. "https://api.openai.com/v1". */
  readonly baseUrl: string;
  readonly limits: Limits;
  /** Sends the key in this header, as it is, instead of as a bearer token: Azure's "api-key". */
  readonly keyHeader?: string | undefined;
  /** Azure's api-version, sent with every call. */
  readonly apiVersion?: string | undefined;
  /** How much a model reasons; undefined leaves it to the provider. */
  readonly effort?: "none" | "low" | "medium" | "high" | "xhigh" | "max" | undefined;
  /** The table of the settings, e.g. "models.spare": messages point there. */
  readonly table?: string | undefined;
}

/** Any server that speaks OpenAI's chat completions. Every call streams, as the first-token limit needs. */
export function openaiModel(options: OpenaiOptions): LanguageModel {
  const client = openaiClient(options);
  let dialect = firstDialect(options.baseUrl);

  /** Opens the stream in the dialect that the server turns out to have. */
  async function open(req: ModelRequest, format: Format | undefined, signal: AbortSignal) {
    let tried = dialect;
    for (let refusals = 0; ; refusals++) {
      try {
        const params = body(options, tried, req, format);
        const chunks = await client.chat.completions.create(params, { signal });
        dialect = tried;
        return chunks;
      } catch (error) {
        const sent = { format: format !== undefined, temperature: req.temperature !== undefined };
        const next = error instanceof APIError ? adapted(tried, error, sent) : undefined;
        if (!next || refusals >= refusalsMax) throw error;
        tried = next;
      }
    }
  }

  const exchange: Exchange = async function* (req, format, signal) {
    try {
      yield* withoutLeadingThought(partsOf(await open(req, format, signal), options.model));
    } catch (error) {
      throw openaiFault(error, options);
    }
  };
  return languageModel(`openai:${options.model}`, exchange, options);
}

export function openaiClient(
  options: Pick<OpenaiOptions, "apiKey" | "baseUrl" | "keyHeader" | "apiVersion">,
): OpenAI {
  const { apiKey, baseUrl, keyHeader, apiVersion } = options;
  const bearer = apiKey !== "" && !keyHeader;
  return new OpenAI({
    // The client refuses to be without one; what is not to be sent is taken out below.
    apiKey: bearer ? apiKey : "none",
    adminAPIKey: null,
    organization: null,
    project: null,
    baseURL: baseUrl,
    maxRetries: 0, // whoever calls has the other providers and the deadline in view
    logLevel: "off",
    defaultHeaders: {
      ...(bearer ? {} : { authorization: null }),
      ...(keyHeader && apiKey !== "" ? { [keyHeader]: apiKey } : {}),
    },
    ...(apiVersion ? { defaultQuery: { "api-version": apiVersion } } : {}),
  });
}

function body(
  { model, effort }: OpenaiOptions,
  dialect: Dialect,
  req: ModelRequest,
  format: Format | undefined,
): ChatCompletionCreateParamsStreaming {
  const inWords = format && dialect.json !== "schema" ? [shapeInWords(format)] : [];
  const system = [...req.system.map(({ text }) => text), ...inWords].filter(
    (text) => text.trim() !== "",
  );
  return {
    model,
    stream: true,
    // Whatever the server caches, it caches by what prompts begin with.
    messages: [
      ...(system.length > 0 ? [{ role: "system" as const, content: system.join("\n\n") }] : []),
      ...req.messages.map(({ role, text }) => ({ role, content: text })),
    ],
    [dialect.maxTokens]: req.maxTokens,
    ...(dialect.usage ? { stream_options: { include_usage: true } } : {}),
    ...(req.temperature !== undefined && dialect.temperature
      ? { temperature: req.temperature }
      : {}),
    ...(req.stop?.length ? { stop: [...req.stop] } : {}),
    ...(effort ? { reasoning_effort: effort } : {}),
    ...(format ? responseFormat(format, dialect) : {}),
  };
}

const tokens = z.number().nullish();

/** What we read of a chunk; servers differ in the rest, and some leave out what the API requires. */
const chunkSchema = z.object({
  model: z.string().nullish(),
  choices: z
    .array(
      z.object({
        delta: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }).nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .nullish(),
  usage: z
    .object({
      prompt_tokens: tokens,
      completion_tokens: tokens,
      prompt_tokens_details: z
        .object({ cached_tokens: tokens, cache_write_tokens: tokens })
        .nullish(),
    })
    .nullish(),
});
type Chunk = z.output<typeof chunkSchema>;

async function* partsOf(
  chunks: AsyncIterable<unknown>,
  asked: string,
): AsyncGenerator<ExchangePart, void, undefined> {
  let model = asked;
  let usage = noUsage;
  let stopReason: StopReason | undefined;
  for await (const given of chunks) {
    const read = chunkSchema.safeParse(given);
    if (!read.success || (!read.data.choices && !read.data.usage))
      throw modelFault("MODEL_UNAVAILABLE", "the model provider's stream is garbled");
    const chunk = read.data;
    const [choice] = chunk.choices ?? [];
    if (chunk.model) model = chunk.model;
    if (chunk.usage) usage = usageOf(chunk.usage);
    // Some stream a word of refusal, others only stop.
    if (choice?.delta?.refusal || choice?.finish_reason === "content_filter")
      throw modelFault("MODEL_REFUSED", "the model declines to answer this");
    if (choice?.delta?.content) yield { kind: "text", text: choice.delta.content };
    if (choice?.finish_reason) stopReason = stopReasonOf(choice.finish_reason);
  }
  // The tokens may come after the last word, in a chunk of their own.
  if (stopReason) yield { kind: "end", stopReason, usage, model };
}

function stopReasonOf(finishReason: string): StopReason {
  if (finishReason === "length") return "max-tokens";
  if (finishReason === "error")
    throw modelFault("MODEL_UNAVAILABLE", "the model's answer broke off");
  return "end"; // the API does not say whether a stop text ended it
}

/** The prompt's tokens count the cached ones in. */
function usageOf(usage: NonNullable<Chunk["usage"]>): Usage {
  const cacheReadTokens = usage.prompt_tokens_details?.cached_tokens ?? 0;
  const cacheWriteTokens = usage.prompt_tokens_details?.cache_write_tokens ?? 0;
  return {
    inputTokens: Math.max(0, (usage.prompt_tokens ?? 0) - cacheReadTokens - cacheWriteTokens),
    outputTokens: usage.completion_tokens ?? 0,
    cacheReadTokens,
    cacheWriteTokens,
  };
}
