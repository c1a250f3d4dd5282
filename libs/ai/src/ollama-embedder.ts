import { z } from "zod";
import type { Embedder } from "./embedder.ts";
import { type Account, postJson, withoutSlash } from "./http.ts";
import { httpEmbedder, type HttpEmbedderOptions } from "./http-embedder.ts";

export interface OllamaEmbedderOptions extends Omit<HttpEmbedderOptions, "provider">, Account {
  /** Without "/api", e.g. "http://127.0.0.1:11434". */
  readonly baseUrl: string;
}

const answerSchema = z.object({ embeddings: z.array(z.array(z.number())) });

/** An embedding model of an Ollama server, which cuts what is too long for the model itself. */
export function ollamaEmbedder(options: OllamaEmbedderOptions): Embedder {
  const url = `${withoutSlash(options.baseUrl)}/api/embed`;
  return httpEmbedder(
    { ...options, provider: "ollama" },
    {
      textsMax: 64,
      charactersMax: 32_768,
      async send(texts, _role, signal) {
        const body = { model: options.model, input: texts, truncate: true };
        const answer = await postJson(url, body, options, signal);
        return answerSchema.parse(await answer.json()).embeddings;
      },
    },
  );
}
