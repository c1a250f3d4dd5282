import { setMaxListeners } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import type { Readiness } from "./readiness.ts";

const checkTimeoutMs = 2_000;
const watchIntervalMs = 1_000;

export interface CheckReport {
  readonly service: string;
  readonly name: string;
  readonly ready: boolean;
  readonly reason?: string;
}

export interface HealthReport {
  readonly ready: boolean;
  /** Why nothing is taken whatever the checks say: "starting" or "leaving". */
  readonly state: "starting" | "serving" | "leaving";
  readonly checks: readonly CheckReport[];
}

interface Check {
  readonly service: string;
  readonly name: string;
  readonly probe: () => Promise<void>;
}

/** Whether this process should be sent calls: what its services depend on, and whether it leaves. */
export class Health {
  readonly #checks: Check[] = [];
  /** RPC services by full name, with the soldier service that serves each. */
  readonly #served = new Map<string, string>();
  readonly #changed = new EventTarget();
  #state: HealthReport["state"] = "starting";
  #running: Promise<HealthReport> | undefined;

  constructor() {
    setMaxListeners(0, this.#changed); // any number may watch
  }

  readinessOf(service: string): Readiness {
    return { check: (name, probe) => void this.#checks.push({ service, name, probe }) };
  }

  /** Says who serves an RPC service; one that only hands it on counts when there is no other. */
  serves(rpcService: string, service: string, forwarded = false): void {
    if (!forwarded || !this.#served.has(rpcService)) this.#served.set(rpcService, service);
  }

  started(): void {
    this.#become("serving");
  }

  leaving(): void {
    this.#become("leaving");
  }

  /** Runs every check; those who ask meanwhile get the same answer. */
  report(): Promise<HealthReport> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Of one RPC service, or of all ("") ; undefined when it is not served here. */
  async isServing(rpcService: string): Promise<boolean | undefined> {
    const service = this.#served.get(rpcService);
    if (rpcService !== "" && service === undefined) return undefined;
    const { state, checks } = await this.report();
    const own = checks.filter((check) => rpcService === "" || check.service === service);
    return state === "serving" && own.every((check) => check.ready);
  }

  /** What isServing says, now and at every change, until the signal aborts or we leave. */
  async *watch(rpcService: string, signal: AbortSignal): AsyncGenerator<boolean | undefined> {
    let last: boolean | undefined | "nothing yet" = "nothing yet";
    while (!signal.aborted) {
      const now = await this.isServing(rpcService);
      if (now !== last) {
        last = now;
        yield now;
      }
      if (this.#state === "leaving") return; // a watcher must not hold up the end
      await this.#nextLook(signal);
    }
  }

  async #run(): Promise<HealthReport> {
    const checks = await Promise.all(this.#checks.map(reportOf));
    const state = this.#state;
    return { ready: state === "serving" && checks.every((check) => check.ready), state, checks };
  }

  #become(state: HealthReport["state"]): void {
    this.#state = state;
    this.#changed.dispatchEvent(new Event("change"));
  }

  /** Resolves after the interval, at a change of state, or when the watcher leaves. */
  async #nextLook(signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const wake = () => woken.abort();
    this.#changed.addEventListener("change", wake, { once: true });
    signal.addEventListener("abort", wake, { once: true });
    try {
      await pause(watchIntervalMs, undefined, { signal: woken.signal, ref: false });
    } catch {
      // Woken before the time: that is the point.
    } finally {
      this.#changed.removeEventListener("change", wake);
      signal.removeEventListener("abort", wake);
    }
  }
}

async function reportOf({ service, name, probe }: Check): Promise<CheckReport> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const reason = `no answer in ${checkTimeoutMs} ms`;
    timer = setTimeout(() => reject(new Error(reason)), checkTimeoutMs);
  });
  try {
    await Promise.race([probe(), late]);
    return { service, name, ready: true };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { service, name, ready: false, reason };
  } finally {
    clearTimeout(timer);
  }
}
