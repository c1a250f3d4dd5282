import { LRUCache } from "lru-cache";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import type { LimitSettings } from "../settings.ts";

/** Takes one request of a tenant from its allowance. Throws RATE_LIMITED when there is none left. */
export type TakeRequest = (tenantId: string) => void;

interface Bucket {
  tokens: number;
  atMs: number;
}

/**
 * A token bucket for each tenant, in this process alone: with several replicas a tenant gets the
 * rate of each. A tenant that was quiet for long may be forgotten; its bucket is full then anyway.
 */
export function requestRate(settings: LimitSettings, clock: Clock): TakeRequest {
  const buckets = new LRUCache<string, Bucket>({ max: settings.tenants_max });
  return (tenantId) => {
    const { requests_per_second, burst } = settings.tenants[tenantId] ?? settings;
    const nowMs = clock.monotonicMs();
    const bucket = buckets.get(tenantId) ?? { tokens: burst, atMs: nowMs };
    const earned = ((nowMs - bucket.atMs) / 1_000) * requests_per_second;
    bucket.tokens = Math.min(burst, bucket.tokens + earned);
    bucket.atMs = nowMs;
    buckets.set(tenantId, bucket);
    if (bucket.tokens < 1) {
      const retryAfterMs = Math.ceil(((1 - bucket.tokens) / requests_per_second) * 1_000);
      throw new Fault("exhausted", "the tenant sends more requests than it may", {
        reason: "RATE_LIMITED",
        retryAfterMs,
      });
    }
    bucket.tokens -= 1;
  };
}
