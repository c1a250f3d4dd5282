import { anthropicModel } from "./anthropic.ts";
import type { Limits } from "./exchange.ts";
import type { LanguageModel } from "./language-model.ts";
import type { FurtherModelSettings } from "./model-settings.ts";
import type { Prices } from "./prices.ts";
import { scriptedModel } from "./scripted.ts";

const standardModels: Partial<Record<FurtherModelSettings["provider"], string>> = {
  anthropic: "claude-sonnet-5-5",
  scripted: "model",
};

/** The provider's name for the model that is set, or the provider's standard one. */
export function modelNameOf({ provider, model }: FurtherModelSettings): string | undefined {
  return model === "" ? standardModels[provider] : model;
}

/** The model that one table describes, `model` being the provider's name for it. Makes no call. */
export function openOne(settings: FurtherModelSettings, model: string): LanguageModel {
  const limits: Limits = {
    timeoutMs: settings.timeout_ms,
    firstTokenTimeoutMs: settings.first_token_timeout_ms,
  };
  const prices = pricesOf(settings);
  switch (settings.provider) {
    case "anthropic":
      return anthropicModel({
        apiKey: settings.api_key,
        model,
        baseUrl: settings.base_url === "" ? "https://api.anthropic.com" : settings.base_url,
        thinking: settings.thinking,
        effort: settings.effort === "default" ? undefined : settings.effort,
        limits,
        prices,
      });
    case "scripted":
      return fromScript(settings, model, limits, prices);
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
  limits: Limits,
  prices: Prices | undefined,
): LanguageModel {
  const { replies, structured, delay_ms, word_delay_ms } = scripted;
  return scriptedModel(
    // Without a script for the shape it gives no answer that fits, and the caller gets its fault.
    ({ schemaName }, call) =>
      schemaName === undefined
        ? (replies[call % replies.length] ?? "")
        : (structured[schemaName] ?? ""),
    { id: `scripted:${model}`, delayMs: delay_ms, wordDelayMs: word_delay_ms, limits, prices },
  );
}
