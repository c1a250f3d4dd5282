import { z } from "zod";
import type { Embedder } from "./embedder.ts";
import { type Account, postJson, withoutSlash } from "./http.ts";
import { httpEmbedder, type HttpEmbedderOptions } from "./http-embedder.ts";

export interface CohereEmbedderOptions extends Omit<HttpEmbedderOptions, "provider">, Account {
  /** Without a version, e.g. "https://api.cohere.com". */
  readonly baseUrl: string;
}

const answerSchema = z.object({ embeddings: z.object({ float: z.array(z.array(z.number())) }) });

/** Cohere's embeddings, which tell questions and documents apart. */
export function cohereEmbedder(options: CohereEmbedderOptions): Embedder {
  const { model, dimensions, baseUrl } = options;
  const url = `${withoutSlash(baseUrl)}/v2/embed`;
  // Older models have one size only, and refuse to be told.
  const sized = /^embed-v[4-9]/.test(model) ? { output_dimension: dimensions } : {};
  return httpEmbedder(
    { ...options, provider: "cohere" },
    {
      textsMax: 96,
      charactersMax: 32_768,
      async send(texts, role, signal) {
        const body = {
          model,
          texts,
          input_type: role === "query" ? "search_query" : "search_document",
          embedding_types: ["float"],
          truncate: "END",
          ...sized,
        };
        const answer = await postJson(url, body, options, signal);
        return answerSchema.parse(await answer.json()).embeddings.float;
      },
    },
  );
}
