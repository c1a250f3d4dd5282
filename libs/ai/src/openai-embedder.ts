import { z } from "zod";
import type { Embedder } from "./embedder.ts";
import { type Account, HttpFailure, postJson, withoutSlash } from "./http.ts";
import { httpEmbedder, type HttpEmbedderOptions } from "./http-embedder.ts";

export interface OpenaiEmbedderOptions extends Omit<HttpEmbedderOptions, "provider">, Account {
  /** With its version, e.g. "https://api.openai.com/v1". */
  readonly baseUrl: string;
  /** Azure's api-version, sent with every call. */
  readonly apiVersion?: string | undefined;
}

const answerSchema = z.object({
  data: z.array(z.object({ index: z.int().min(0), embedding: z.array(z.number()) })),
});

/** The API refuses a text of more than 8,192 tokens; this many characters are fewer in most languages. */
const charactersMax = 8_000;
/** A server whose model reads less says so, and the texts are halved down to this. */
const charactersMin = 200;

/** Any server that speaks OpenAI's embeddings API. */
export function openaiEmbedder(options: OpenaiEmbedderOptions): Embedder {
  const { model, dimensions, baseUrl, apiVersion, log } = options;
  const version = apiVersion ? `?api-version=${encodeURIComponent(apiVersion)}` : "";
  const url = `${withoutSlash(baseUrl)}/embeddings${version}`;
  // These can be shortened; servers with other models refuse to be told.
  const shortened = model.startsWith("text-embedding-3-") ? { dimensions } : {};

  async function send(texts: readonly string[], signal: AbortSignal): Promise<number[][]> {
    const body = { model, input: texts, encoding_format: "float", ...shortened };
    const answer = await postJson(url, body, options, signal);
    const { data } = answerSchema.parse(await answer.json());
    return data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => embedding);
  }

  return httpEmbedder(
    { ...options, provider: "openai" },
    {
      textsMax: 256,
      charactersMax,
      async send(texts, _role, signal) {
        for (let most = charactersMax; ; most = Math.floor(most / 2)) {
          const kept = texts.map((text) => text.slice(0, most).toWellFormed());
          try {
            return await send(kept, signal);
          } catch (error) {
            const longest = Math.max(...kept.map(({ length }) => length));
            if (!isTooLong(error) || longest <= charactersMin) throw error;
            most = Math.min(most, longest);
            log.debug(
              { model, characters: most },
              "a text to embed is too long; half of it counts",
            );
          }
        }
      },
    },
  );
}

const errorSchema = z.object({ error: z.object({ message: z.string() }) });

function isTooLong(error: unknown): boolean {
  if (!(error instanceof HttpFailure) || error.status !== 400) return false;
  const message = errorSchema.safeParse(error.body).data?.error.message ?? "";
  return /context length|too (long|large)|max(imum)?.*tokens|tokens.*max(imum)?/i.test(message);
}
