import { Fault } from "@soldier/kernel/fault";

/** How many turns of each tenant are being answered here. */
export interface TurnSlots {
  /** Takes a place until disposed of. Throws RATE_LIMITED when the tenant has all of its own. */
  take(tenantId: string): Disposable;
}

/** Keeps one tenant from filling the process with turns that wait for a slow model. */
export function turnSlots(turnsMax: number): TurnSlots {
  const running = new Map<string, number>();
  return {
    take(tenantId) {
      const count = running.get(tenantId) ?? 0;
      if (count >= turnsMax)
        throw new Fault(
          "exhausted",
          `the tenant has ${turnsMax} turns running, as many as it may`,
          {
            reason: "RATE_LIMITED",
            retryAfterMs: 1_000,
          },
        );
      running.set(tenantId, count + 1);
      return { [Symbol.dispose]: () => leave(running, tenantId) };
    },
  };
}

function leave(running: Map<string, number>, tenantId: string): void {
  const count = (running.get(tenantId) ?? 1) - 1;
  if (count > 0) running.set(tenantId, count);
  else running.delete(tenantId);
}
