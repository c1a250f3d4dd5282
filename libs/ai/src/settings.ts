import { Fault } from "@soldier/kernel/fault";
import { type Log, silentLog } from "@soldier/kernel/log";
import { z } from "zod";
import { cohereEmbedder } from "./cohere-embedder.ts";
import { cohereReranker } from "./cohere-reranker.ts";
import { deterministicEmbedder } from "./deterministic.ts";
import { type Embedder, embedderUnavailable } from "./embedder.ts";
import { localDimensions, localEmbedder } from "./local.ts";
import { observedEmbedder } from "./observed-embedder.ts";
import { observedReranker } from "./observed-reranker.ts";
import { ollamaEmbedder } from "./ollama-embedder.ts";
import { openaiEmbedder } from "./openai-embedder.ts";
import { keyVariable } from "./provider-fault.ts";
import { localReranker } from "./local-reranker.ts";
import { noReranker, type Reranker, rerankerUnavailable } from "./reranker.ts";
import { turnstile } from "./turnstile.ts";

const durationMs = z.int().min(1).max(600_000);

/** What is set of any provider behind HTTP. */
const connection = {
  /** The provider's name for the model. */
  model: z.string().trim().default(""),
  /** Secret; empty when there is none. */
  api_key: z.string().trim().default(""),
  /** Empty for the provider's own. */
  base_url: z.union([z.literal(""), z.url({ protocol: /^https?$/ })]).default(""),
  /** For one call. */
  timeout_ms: durationMs.default(10_000),
  /** Calls at the same time; more wait. */
  concurrent_max: z.int().min(1).max(1_000).default(8),
};

const embedders = ["local", "openai", "ollama", "cohere", "deterministic"] as const;

/** The [embedder] table. */
export const embedderSettings = z.strictObject({
  /** "local" is MiniLM in this process; "deterministic" knows letters only and is for tests. */
  provider: z.enum(embedders).default("local"),
  /** Of the model's vectors, which are refused when they have others; "local" has 384. */
  dimensions: z.int().min(8).max(4096).default(localDimensions),
  ...connection,
  /** Of "local": each has the model to itself, 105 MB. */
  threads: z.int().min(1).max(16).default(1),
  /** Of "openai" and "ollama": the header that the key is sent in; empty for a bearer token. */
  api_key_header: z
    .string()
    .regex(/^[\w-]*$/)
    .default(""),
  /** Of "openai", for Azure: sent as api-version with every call. */
  api_version: z.string().default(""),
});
export type EmbedderSettings = z.output<typeof embedderSettings>;

/** The [next_embedder] table: what is to be the embedder, while it is got ready. */
export const nextEmbedderSettings = embedderSettings.extend({
  provider: z.enum(["none", ...embedders]).default("none"),
});
export type NextEmbedderSettings = z.output<typeof nextEmbedderSettings>;

/** The [reranker] table. */
export const rerankerSettings = z.strictObject({
  /** "none" leaves the order as it was found; "local" looks closer with the embedder at hand. */
  provider: z.enum(["none", "local", "cohere"]).default("none"),
  ...connection,
  timeout_ms: durationMs.default(2_000),
});
export type RerankerSettings = z.output<typeof rerankerSettings>;

const standardUrls = {
  openai: "https://api.openai.com/v1",
  ollama: "http://127.0.0.1:11434",
  cohere: "https://api.cohere.com",
};
/** A batch of texts is split into calls that wait for each other, so many may. */
const waitingMax = 10_000;

/**
 * The embedder that the settings name; closed with `opened`. Makes no call. Throws
 * EMBEDDER_SETTINGS when they can't work. The log hears of texts that were cut.
 */
export function openEmbedder(
  settings: EmbedderSettings,
  opened: AsyncDisposableStack,
  log: Log = silentLog,
): Embedder {
  return observedEmbedder(embedderOf(settings, opened, log));
}

/** Undefined for "none". Throws EMBEDDER_SETTINGS when it is the embedder itself. */
export function openNextEmbedder(
  { provider, ...settings }: NextEmbedderSettings,
  embedder: Embedder,
  opened: AsyncDisposableStack,
  log: Log = silentLog,
): Embedder | undefined {
  if (provider === "none") return undefined;
  const next = openEmbedder({ provider, ...settings }, opened, log);
  if (next.model === embedder.model)
    throw badSettings("next_embedder", `${next.model} is the embedder already: set "none"`);
  return next;
}

function embedderOf(settings: EmbedderSettings, opened: AsyncDisposableStack, log: Log): Embedder {
  const { provider, dimensions } = settings;
  if (provider === "deterministic") return deterministicEmbedder(dimensions);
  if (provider === "local") {
    if (dimensions !== localDimensions)
      throw badSettings("embedder", `"local" has ${localDimensions} dimensions: set them to that`);
    return localEmbedder(opened, settings.threads);
  }
  const options = {
    ...connected("embedder", settings, standardUrls[provider]),
    keyHeader: settings.api_key_header,
    dimensions,
    log,
    turnstile: turnstile({
      insideMax: settings.concurrent_max,
      waitingMax,
      overflow: () => embedderUnavailable("too many calls of the embedding provider wait"),
    }),
  };
  switch (provider) {
    case "openai":
      return openaiEmbedder({ ...options, apiVersion: settings.api_version });
    case "ollama":
      return ollamaEmbedder(options);
    case "cohere":
      return cohereEmbedder(options);
  }
}

/** The reranker that the settings name. Makes no call. Throws RERANKER_SETTINGS when they can't work. */
export function openReranker(settings: RerankerSettings, embedder: Embedder): Reranker {
  switch (settings.provider) {
    case "none":
      return noReranker;
    case "local":
      return observedReranker(localReranker(embedder));
    case "cohere":
      return observedReranker(
        cohereReranker({
          ...connected("reranker", settings, standardUrls.cohere),
          turnstile: turnstile({
            insideMax: settings.concurrent_max,
            waitingMax: settings.concurrent_max, // a turn goes on without rather than wait
            overflow: () => rerankerUnavailable("too many calls of the reranker wait"),
          }),
        }),
      );
  }
}

interface Connection {
  readonly provider: string;
  readonly model: string;
  readonly api_key: string;
  readonly base_url: string;
  readonly timeout_ms: number;
}

function connected(table: "embedder" | "reranker", settings: Connection, standardUrl: string) {
  const { provider, model, api_key: apiKey, base_url, timeout_ms: timeoutMs } = settings;
  if (model === "") throw badSettings(table, `"${provider}" needs the name of a model: set model`);
  if (apiKey === "" && base_url === "" && provider !== "ollama")
    throw badSettings(
      table,
      `"${provider}" needs a key and none is set: give it as api_key, or ${keyVariable(table)}`,
    );
  return { model, apiKey, timeoutMs, baseUrl: base_url === "" ? standardUrl : base_url };
}

function badSettings(table: "embedder" | "next_embedder" | "reranker", problem: string): Fault {
  const reason = table === "reranker" ? "RERANKER_SETTINGS" : "EMBEDDER_SETTINGS";
  return new Fault("precondition", `the [${table}] settings: ${problem}`, { reason });
}
