import { manualClock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { describe, expect, it } from "vitest";
import type { LimitSettings } from "../settings.ts";
import { requestRate } from "./rate-limit.ts";
import { turnSlots } from "./turn-slots.ts";

function limits(over: Partial<LimitSettings> = {}): LimitSettings {
  const some = { requests_per_second: 10, burst: 3, turns_max: 2, tenants_max: 100, tenants: {} };
  return { ...some, ...over };
}

function refusal(take: () => void): Fault | undefined {
  try {
    take();
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

describe("the rate of a tenant's requests", () => {
  it("allows a burst, then its rate", () => {
    const clock = manualClock(new Date());
    const take = requestRate(limits(), clock);
    for (let i = 0; i < 3; i++) take("acme");
    const refused = refusal(() => take("acme"));
    expect([refused?.reason, refused?.retryAfterMs]).toEqual(["RATE_LIMITED", 100]);
    clock.advance(100);
    take("acme");
    expect(refusal(() => take("acme"))).toBeDefined();
    clock.advance(60_000);
    for (let i = 0; i < 3; i++) take("acme");
    expect(refusal(() => take("acme"))).toBeDefined();
  });

  it("is each tenant's own, and may be set for one", () => {
    const tenants = { big: { requests_per_second: 1, burst: 5 } };
    const take = requestRate(limits({ burst: 1, tenants }), manualClock(new Date()));
    take("acme");
    take("other");
    for (let i = 0; i < 5; i++) take("big");
    expect([refusal(() => take("acme")), refusal(() => take("big"))]).not.toContain(undefined);
  });
});

describe("a tenant's turns", () => {
  it("have so many places, which are free again when they end", () => {
    const slots = turnSlots(2);
    const first = slots.take("acme");
    slots.take("acme");
    slots.take("other");
    expect(refusal(() => slots.take("acme"))?.reason).toBe("RATE_LIMITED");
    first[Symbol.dispose]();
    slots.take("acme");
    expect(refusal(() => slots.take("acme"))?.reason).toBe("RATE_LIMITED");
  });
});
