import type { Usage } from "./language-model.ts";

/** US dollars for a million tokens of each kind; the same number is millionths of a dollar a token. */
export interface Prices {
  readonly input: number;
  readonly output: number;
  /** Of input read from the provider's cache. */
  readonly cached: number;
  /** Of input written to the provider's cache, where that is charged apart from input. */
  readonly cacheWrite: number;
}

/** What the tokens cost, in whole millionths of a US dollar. */
export function costMicros(prices: Prices, usage: Usage): number {
  return Math.round(
    usage.inputTokens * prices.input +
      usage.outputTokens * prices.output +
      usage.cacheReadTokens * prices.cached +
      usage.cacheWriteTokens * prices.cacheWrite,
  );
}
