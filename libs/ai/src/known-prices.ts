import type { Prices } from "./prices.ts";

/**
 * What Anthropic asks for its own models, in US dollars for a million tokens, as published in
 * November 2026 (platform.claude.com/docs/en/about-claude/pricing; writes to the cache for five
 * minutes). Haiku 5.5 costs five times as much for a prompt of more than 100,000 tokens, which no
 * prompt of a turn comes near. Set `prices` for anything else, and when these have changed.
 */
const anthropic: Readonly<Record<string, Prices>> = {
  "claude-opus-5-5": { input: 4, output: 20, cached: 0.2, cacheWrite: 5 },
  "claude-opus-5": { input: 5, output: 25, cached: 0.5, cacheWrite: 6.25 },
  "claude-sonnet-5-5": { input: 2, output: 10, cached: 0.1, cacheWrite: 2.5 },
  "claude-sonnet-5": { input: 2, output: 10, cached: 0.2, cacheWrite: 2.5 },
  "claude-haiku-5-5": { input: 0.1, output: 0.5, cached: 0.01, cacheWrite: 0.125 },
};

export function knownPrices(provider: string, model: string): Prices | undefined {
  return provider === "anthropic" ? anthropic[model] : undefined;
}
