import { z } from "zod";
import { deterministicEmbedder } from "./deterministic.ts";
import {
  type Failed,
  sendJson,
  type WireAnswer,
  type WireServer,
  wireServer,
} from "./testing-server.ts";
import type { ServerResponse } from "node:http";

/** What is told to the server about its calls; vectors of the texts unless something else is. */
export type EmbeddingAnswers = (
  call: number,
) => Exclude<WireAnswer, { pieces: unknown }> | undefined;

interface Vectors {
  readonly vectors: readonly (readonly number[])[];
}

async function vectorsOf(texts: readonly string[], dimensions: number): Promise<Vectors> {
  const made = await deterministicEmbedder(dimensions).embed(texts, new AbortController().signal);
  // Not of length 1, as some providers' are not.
  return { vectors: made.map((vector) => [...vector].map((x) => x * 3)) };
}

const openaiRequest = z.strictObject({
  model: z.string(),
  input: z.array(z.string().regex(/\S/).max(8_192)).min(1).max(2048),
  encoding_format: z.literal("float"),
  dimensions: z.int().positive().optional(),
});
export type OpenaiEmbeddingRequest = z.output<typeof openaiRequest>;

/** A local server that speaks OpenAI's embeddings API. It gives the vectors in any order. */
export function openaiEmbeddings(
  dimensions: number,
  answers: EmbeddingAnswers = () => undefined,
): Promise<WireServer<OpenaiEmbeddingRequest>> {
  let calls = 0;
  return wireServer(
    {
      paths: ["/v1/embeddings"],
      request: openaiRequest,
      fail: failWithObject,
      answer: (res, { vectors }: Vectors, { model }) => {
        const data = vectors.map((embedding, index) => ({ object: "embedding", index, embedding }));
        const usage = { prompt_tokens: 8, total_tokens: 8 };
        sendJson(res, 200, { object: "list", data: data.toReversed(), model, usage });
      },
    },
    async ({ input }) => answers(calls++) ?? vectorsOf(input, dimensions),
  );
}

const ollamaRequest = z.strictObject({
  model: z.string(),
  input: z.array(z.string().regex(/\S/)).min(1),
  truncate: z.literal(true),
});

/** A local server that speaks Ollama's embeddings API. */
export function ollamaEmbeddings(
  dimensions: number,
  answers: EmbeddingAnswers = () => undefined,
): Promise<WireServer<z.output<typeof ollamaRequest>>> {
  let calls = 0;
  return wireServer(
    {
      paths: ["/api/embed"],
      request: ollamaRequest,
      fail: (res, { status, error, headers }) => sendJson(res, status, { error }, headers),
      answer: (res, { vectors }: Vectors, { model }) =>
        sendJson(res, 200, {
          model,
          embeddings: vectors,
          total_duration: 14_143_917,
          load_duration: 1_019_500,
          prompt_eval_count: 8,
        }),
    },
    async ({ input }) => answers(calls++) ?? vectorsOf(input, dimensions),
  );
}

const cohereRequest = z.strictObject({
  model: z.string(),
  texts: z.array(z.string().regex(/\S/)).min(1).max(96),
  input_type: z.enum(["search_query", "search_document"]),
  embedding_types: z.tuple([z.literal("float")]),
  truncate: z.literal("END"),
  output_dimension: z.int().optional(),
});

/** A local server that speaks Cohere's embeddings API, version 2. */
export function cohereEmbeddings(
  dimensions: number,
  answers: EmbeddingAnswers = () => undefined,
): Promise<WireServer<z.output<typeof cohereRequest>>> {
  let calls = 0;
  return wireServer(
    {
      paths: ["/v2/embed"],
      request: cohereRequest,
      fail: failWithMessage,
      answer: (res, { vectors }: Vectors, { texts }) =>
        sendJson(res, 200, {
          id: "test",
          embeddings: { float: vectors },
          texts,
          meta: { api_version: { version: "2" }, billed_units: { input_tokens: 8 } },
          response_type: "embeddings_by_type",
        }),
    },
    async ({ texts }) => answers(calls++) ?? vectorsOf(texts, dimensions),
  );
}

const rerankRequest = z.strictObject({
  model: z.string(),
  query: z.string().regex(/\S/),
  documents: z.array(z.string().regex(/\S/)).min(1).max(1000),
});
export type CohereRerankRequest = z.output<typeof rerankRequest>;

/** A local server that speaks Cohere's rerank API, version 2; texts that share words are relevant. */
export function cohereRerank(
  answers: EmbeddingAnswers = () => undefined,
): Promise<WireServer<CohereRerankRequest>> {
  let calls = 0;
  return wireServer(
    {
      paths: ["/v2/rerank"],
      request: rerankRequest,
      fail: failWithMessage,
      answer: (res, { vectors }: Vectors) => {
        const [query = [], ...documents] = vectors;
        const results = documents.map((document, index) => ({
          index,
          relevance_score: document.reduce((sum, x, i) => sum + x * (query[i] ?? 0), 0) / 9,
        }));
        sendJson(res, 200, {
          id: "test",
          results: results.toSorted((a, b) => b.relevance_score - a.relevance_score),
          meta: { api_version: { version: "2" }, billed_units: { search_units: 1 } },
        });
      },
    },
    async ({ query, documents }) => answers(calls++) ?? vectorsOf([query, ...documents], 384),
  );
}

function failWithObject(res: ServerResponse, { status, error, message = error, headers }: Failed) {
  sendJson(res, status, { error: { message, type: error, param: null, code: error } }, headers);
}

function failWithMessage(res: ServerResponse, { status, error, message = error, headers }: Failed) {
  sendJson(res, status, { id: "test", message }, headers);
}
