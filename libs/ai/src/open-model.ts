import type { ModelOptions } from "./exchange.ts";
import { type LanguageModel, modelFault } from "./language-model.ts";
import type { FurtherModelSettings } from "./model-settings.ts";
import { ollamaModel } from "./ollama.ts";
import { knownPrices } from "./known-prices.ts";
import { loadedLater } from "./loaded-later.ts";
import type { Prices } from "./prices.ts";
import { scriptedModel } from "./scripted.ts";
import { type Turnstile, turnstile } from "./turnstile.ts";

type Provider = FurtherModelSettings["provider"];

const standardModels: Partial<Record<Provider, string>> = {
  anthropic: "claude-sonnet-5-5",
  scripted: "model",
};

const standardUrls: Readonly<Record<Provider, string>> = {
  anthropic: "https://api.anthropic.com",
  openai: "https://api.openai.com/v1",
  ollama: "http://127.0.0.1:11434",
  scripted: "",
};

/** The provider's name for the model that is set, or the provider's standard one. */
export function modelNameOf({ provider, model }: FurtherModelSettings): string | undefined {
  return model === "" ? standardModels[provider] : model;
}

/** Whether a key must be set: local servers ask for none. */
export function needsKey({ provider, base_url }: FurtherModelSettings): boolean {
  return provider === "anthropic" || (provider === "openai" && base_url === "");
}

/** The one of a table's settings; all models opened with them go through it. */
export function turnstileOf({ concurrent_max, waiting_max }: FurtherModelSettings): Turnstile {
  return turnstile({
    insideMax: concurrent_max,
    waitingMax: waiting_max,
    overflow: () =>
      modelFault(
        "MODEL_RATE_LIMITED",
        `${concurrent_max} calls of the model are under way and ${waiting_max} wait: raise ` +
          "concurrent_max or waiting_max if the provider allows it",
        { retryAfterMs: 0 }, // the provider itself is well
      ),
  });
}

/** The model that one table describes, `model` being the provider's name for it. Makes no call. */
export function openOne(
  settings: FurtherModelSettings,
  { model, table, turnstile: admits }: { model: string; table: string; turnstile: Turnstile },
): LanguageModel {
  const { provider, thinking, effort } = settings;
  const common = {
    model,
    table,
    apiKey: settings.api_key,
    baseUrl: settings.base_url === "" ? standardUrls[provider] : settings.base_url,
    keyHeader: settings.api_key_header,
    effort: effort === "default" ? undefined : effort,
    limits: {
      timeoutMs: settings.timeout_ms,
      firstTokenTimeoutMs: settings.first_token_timeout_ms,
    },
    prices: pricesOf(settings) ?? knownPrices(provider, model),
    turnstile: admits,
  };
  switch (provider) {
    case "anthropic":
      return loadedLater(`anthropic:${model}`, async () => {
        const { anthropicModel } = await import("./anthropic.ts");
        return anthropicModel({ ...common, thinking });
      });
    case "openai":
      return loadedLater(`openai:${model}`, async () => {
        const { openaiModel } = await import("./openai.ts");
        return openaiModel({
          ...common,
          apiVersion: settings.api_version,
          effort: thinking === "disabled" ? "none" : common.effort,
        });
      });
    case "ollama":
      return ollamaModel({ ...common, thinking, contextTokens: settings.context_tokens });
    case "scripted":
      return fromScript(settings, model, common);
  }
}

function pricesOf({ prices }: FurtherModelSettings): Prices | undefined {
  const { input, output, cached = input, cache_write = input } = prices;
  if (
    input === undefined ||
    output === undefined ||
    cached === undefined ||
    cache_write === undefined
  )
    return undefined;
  return { input, output, cached, cacheWrite: cache_write };
}

function fromScript(
  { scripted }: FurtherModelSettings,
  model: string,
  options: ModelOptions,
): LanguageModel {
  const { replies, structured, delay_ms, word_delay_ms } = scripted;
  return scriptedModel(
    // Without a script for the shape it gives no answer that fits, and the caller gets its fault.
    ({ schemaName }, call) =>
      schemaName === undefined
        ? (replies[call % replies.length] ?? "")
        : (structured[schemaName] ?? ""),
    { ...options, id: `scripted:${model}`, delayMs: delay_ms, wordDelayMs: word_delay_ms },
  );
}
