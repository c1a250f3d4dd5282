import type { Clock } from "@soldier/kernel/clock";
import { LRUCache } from "lru-cache";

export interface CircuitBreakerOptions {
  /** Failures in a row after which an endpoint is given a rest. */
  readonly failuresMax: number;
  readonly openMs: number;
  readonly clock: Clock;
  /** Told when an endpoint's rest begins. */
  readonly opened: (endpoint: string) => void;
}

/** What an attempt says of its endpoint. "nothing": it ended before anything was known. */
export type Health = "well" | "ill" | "nothing";

interface Circuit {
  failures: number;
  /** By the clock's monotonic time; undefined: closed. */
  openUntilMs: number | undefined;
  probing: boolean;
}

const endpointsMax = 10_000;

/**
 * Spares endpoints that are in trouble, and turns the wait for them. After some failures in a row an endpoint is not
 * asked for a while; then one call is let through, and what becomes of it decides.
 */
export class CircuitBreaker {
  private readonly options: CircuitBreakerOptions;
  private readonly circuits = new LRUCache<string, Circuit>({ max: endpointsMax });

  constructor(options: CircuitBreakerOptions) {
    this.options = options;
  }

  /** Undefined when the endpoint must not be asked now; else how to say what became of the call. */
  enter(endpoint: string): ((health: Health) => void) | undefined {
    const { failuresMax, openMs, clock } = this.options;
    const circuit = this.circuits.get(endpoint) ?? {
      failures: 0,
      openUntilMs: undefined,
      probing: false,
    };
    this.circuits.set(endpoint, circuit);
    const { openUntilMs } = circuit;
    const isProbe = openUntilMs !== undefined;
    if (isProbe && (circuit.probing || clock.monotonicMs() < openUntilMs)) return undefined;
    circuit.probing = isProbe;
    return (health) => {
      if (isProbe) circuit.probing = false;
      if (health === "nothing") return;
      if (health === "well") {
        circuit.failures = 0;
        circuit.openUntilMs = undefined;
        return;
      }
      circuit.failures += 1;
      // Calls that were under way when it opened don't keep it open for longer.
      if (!isProbe && (circuit.openUntilMs !== undefined || circuit.failures < failuresMax)) return;
      circuit.openUntilMs = clock.monotonicMs() + openMs;
      this.options.opened(endpoint);
    };
  }
}
