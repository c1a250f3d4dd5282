import { Fault } from "@soldier/kernel/fault";
import { z } from "zod";
import { anthropicModel } from "./anthropic.ts";
import { deterministicEmbedder } from "./deterministic.ts";
import type { Embedder } from "./embedder.ts";
import type { Limits } from "./exchange.ts";
import type { LanguageModel } from "./language-model.ts";
import { localEmbedder } from "./local.ts";
import { observedEmbedder } from "./observed-embedder.ts";
import { scriptedModel } from "./scripted.ts";

const durationMs = z.int().min(1).max(600_000);

/** The [model] table. */
export const modelSettings = z.strictObject({
  /** Who writes and judges. "none" is keyless: templates and scores only; "auto" is anthropic with a key and none without. */
  provider: z.enum(["auto", "none", "anthropic", "scripted"]).default("auto"),
  /** The provider's name for the model. */
  model: z.string().min(1).default("claude-sonnet-5-5"),
  /** Secret; empty when there is none. */
  api_key: z.string().default(""),
  base_url: z.url({ protocol: /^https?$/ }).default("https://api.anthropic.com"),
  /** For a whole answer. */
  timeout_ms: durationMs.default(60_000),
  /** For its first word. */
  first_token_timeout_ms: durationMs.default(20_000),
  /** "auto" asks for as little as the model allows: a customer is waiting. */
  thinking: z.enum(["auto", "disabled", "between_tools", "adaptive"]).default("auto"),
  /** How thorough the model is; "default" leaves it to the provider. */
  effort: z.enum(["default", "low", "medium", "high", "xhigh", "max"]).default("default"),
  /** What the provider "scripted" says: for tests and benchmarks. */
  scripted: z
    .strictObject({
      /** Said in turn, over and over. */
      replies: z.array(z.string()).min(1).default(["This is a scripted reply."]),
      /** JSON by the name of the shape asked for. */
      structured: z.record(z.string(), z.string()).default({}),
      delay_ms: z.int().min(0).max(600_000).default(0),
      word_delay_ms: z.int().min(0).max(600_000).default(0),
    })
    .prefault({}),
});
export type ModelSettings = z.output<typeof modelSettings>;

/** The [embedder] table. */
export const embedderSettings = z.strictObject({
  /** "local" is MiniLM in this process; "deterministic" knows letters only and is for tests. */
  provider: z.enum(["local", "deterministic"]).default("local"),
  /** Of the provider "deterministic"; "local" has 384. */
  dimensions: z.int().min(8).max(4096).default(384),
});
export type EmbedderSettings = z.output<typeof embedderSettings>;

/** The model that the settings name, or undefined for keyless. Makes no call. */
export function openModel(settings: ModelSettings): LanguageModel | undefined {
  const limits: Limits = {
    timeoutMs: settings.timeout_ms,
    firstTokenTimeoutMs: settings.first_token_timeout_ms,
  };
  switch (settings.provider) {
    case "none":
      return undefined;
    case "auto":
      return settings.api_key.trim() === ""
        ? undefined
        : openModel({ ...settings, provider: "anthropic" });
    case "anthropic":
      if (settings.api_key.trim() === "") throw keyMissing();
      return anthropicModel({
        apiKey: settings.api_key.trim(),
        model: settings.model,
        baseUrl: settings.base_url,
        thinking: settings.thinking,
        effort: settings.effort === "default" ? undefined : settings.effort,
        limits,
      });
    case "scripted":
      return fromScript(settings, limits);
  }
}

/** The embedder that the settings name; closed with `opened`. */
export function openEmbedder(settings: EmbedderSettings, opened: AsyncDisposableStack): Embedder {
  switch (settings.provider) {
    case "local":
      return observedEmbedder(localEmbedder(opened));
    case "deterministic":
      return observedEmbedder(deterministicEmbedder(settings.dimensions));
  }
}

function keyMissing(): Fault {
  return new Fault(
    "precondition",
    'the model provider "anthropic" needs a key and none is set: give it as api_key in the [model] ' +
      'settings, SOLDIER_MODEL__API_KEY or ANTHROPIC_API_KEY, or set provider = "none" to run without a model',
    { reason: "MODEL_KEY_MISSING" },
  );
}

function fromScript({ model, scripted }: ModelSettings, limits: Limits): LanguageModel {
  const { replies, structured, delay_ms, word_delay_ms } = scripted;
  return scriptedModel(
    // Without a script for the shape it gives no answer that fits, and the caller gets its fault.
    ({ schemaName }, call) =>
      schemaName === undefined
        ? (replies[call % replies.length] ?? "")
        : (structured[schemaName] ?? ""),
    { id: `scripted:${model}`, delayMs: delay_ms, wordDelayMs: word_delay_ms, limits },
  );
}
