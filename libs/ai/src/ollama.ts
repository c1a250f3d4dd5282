import { z } from "zod";
import {
  type Exchange,
  type ExchangePart,
  type Format,
  languageModel,
  type Limits,
  type ModelOptions,
} from "./exchange.ts";
import { type Account, HttpFailure, linesOf, postJson, withoutSlash } from "./http.ts";
import { jsonSchemaOf, shapeInWords } from "./json-format.ts";
import { type LanguageModel, modelFault, type ModelRequest } from "./language-model.ts";
import { withoutLeadingThought } from "./leading-thought.ts";
import { isBrokenConnection, providerFault } from "./provider-fault.ts";

export interface OllamaOptions extends ModelOptions, Account {
  /** As the server lists it, e.g. "llama3.2:3b". */
  readonly model: string;
  /** Without "/api", e.g. "http://127.0.0.1:11434". */
  readonly baseUrl: string;
  readonly limits: Limits;
  /** Room for prompt and answer. Of a longer prompt the server drops the beginning, silently. */
  readonly contextTokens: number;
  /** "auto" and "disabled" ask for none; the others leave it to the model. */
  readonly thinking?: "auto" | "disabled" | "between_tools" | "adaptive" | undefined;
  /** How much it thinks, for models that take a level; stronger than `thinking`. */
  readonly effort?: "low" | "medium" | "high" | "xhigh" | "max" | undefined;
  /** The table of the settings, e.g. "models.local": messages point there. */
  readonly table?: string | undefined;
}

/** A model of an Ollama server, by its own chat API: one JSON object a line. Every call streams. */
export function ollamaModel(options: OllamaOptions): LanguageModel {
  const url = `${withoutSlash(options.baseUrl)}/api/chat`;
  const exchange: Exchange = async function* (req, format, signal) {
    try {
      const response = await postJson(url, body(options, req, format), options, signal);
      yield* withoutLeadingThought(partsOf(linesOf(response)));
    } catch (error) {
      throw faultOf(error, options);
    }
  };
  return languageModel(`ollama:${options.model}`, exchange, options);
}

function body(
  { model, contextTokens, thinking, effort }: OllamaOptions,
  req: ModelRequest,
  format: Format | undefined,
) {
  // The server holds a model to the schema, but does not show it to the model.
  const system = [...req.system.map(({ text }) => text), ...(format ? [shapeInWords(format)] : [])]
    .filter((text) => text.trim() !== "")
    .join("\n\n");
  const quiet = thinking === "auto" || thinking === "disabled";
  return {
    model,
    stream: true,
    messages: [
      ...(system === "" ? [] : [{ role: "system", content: system }]),
      ...req.messages.map(({ role, text }) => ({ role, content: text })),
    ],
    ...(format ? { format: jsonSchemaOf(format) } : {}),
    // Some models take a level instead of yes and no; they have three.
    ...(effort ? { think: levels[effort] } : quiet ? { think: false } : {}),
    options: {
      num_ctx: contextTokens,
      num_predict: req.maxTokens,
      ...(req.temperature === undefined ? {} : { temperature: req.temperature }),
      ...(req.stop?.length ? { stop: [...req.stop] } : {}),
    },
  };
}

const levels = { low: "low", medium: "medium", high: "high", xhigh: "high", max: "high" };

const lineSchema = z.union([
  z.object({ error: z.string() }),
  z.object({
    model: z.string(),
    message: z.object({ content: z.string().nullish() }).nullish(),
    done: z.boolean(),
    done_reason: z.string().nullish(),
    prompt_eval_count: z.number().nullish(),
    eval_count: z.number().nullish(),
  }),
]);

async function* partsOf(
  lines: AsyncIterable<string>,
): AsyncGenerator<ExchangePart, void, undefined> {
  for await (const line of lines) {
    const read = lineOf(line);
    if ("error" in read)
      throw modelFault("MODEL_UNAVAILABLE", "the model's server fails", {
        cause: new Error(read.error),
      });
    // What the model thinks stands beside the content.
    if (read.message?.content) yield { kind: "text", text: read.message.content };
    if (!read.done) continue;
    yield {
      kind: "end",
      stopReason: read.done_reason === "length" ? "max-tokens" : "end",
      usage: {
        // The server caches, too, and counts only what it has read anew, or all of it.
        inputTokens: read.prompt_eval_count ?? 0,
        outputTokens: read.eval_count ?? 0,
        cacheReadTokens: 0,
        cacheWriteTokens: 0,
      },
      model: read.model,
    };
    return;
  }
}

function lineOf(line: string): z.output<typeof lineSchema> {
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch (error) {
    throw modelFault("MODEL_UNAVAILABLE", "the model provider's stream is garbled", {
      cause: error,
    });
  }
}

const errorBody = z.object({ error: z.string() });

function faultOf(error: unknown, options: OllamaOptions): unknown {
  if (error instanceof HttpFailure) {
    const { status, headers } = error;
    const message = errorBody.safeParse(error.body).data?.error;
    return providerFault({ status, headers, message, cause: error }, options);
  }
  if (isBrokenConnection(error))
    return modelFault("MODEL_UNAVAILABLE", "the model's server can't be reached, or hung up", {
      cause: error,
    });
  return error;
}
