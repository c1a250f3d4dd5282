import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Clock } from "@soldier/kernel/clock";
import type { Request } from "./around.ts";
import type { ChassisSettings } from "./chassis-settings.ts";
import { deadlineKey } from "./deadline.ts";
import { faultOf } from "./faults.ts";
import { retries } from "./metrics.ts";

const backoffMaxMs = 1_000;

/** Failures of calls that surely never reached a handler: any method may be sent again. */
export const notSent = new WeakSet<ConnectError>();

/**
 * Repeats calls that failed because nobody was there, when repeating is harmless: methods that the
 * contract calls idempotent, and requests that were never sent. Only unary calls, inside the
 * deadline, and as long as the budget lasts: a fifth more calls do no harm, six times as many would
 * bury a service that is trying to come back. One budget for each target.
 */
export function retrying(
  settings: ChassisSettings["calls"],
  service: string,
  clock: Clock,
): Interceptor {
  const budgets = new Map<string, Budget>();
  const budgetOf = (target: string): Budget => {
    const known = budgets.get(target);
    if (known) return known;
    const made = new Budget(settings, clock);
    budgets.set(target, made);
    return made;
  };
  return (next) => async (req) => {
    if (req.stream) return next(req);
    const budget = budgetOf(req.service.typeName);
    budget.earn();
    for (let attempt = 1; ; attempt++) {
      try {
        return await next(req);
      } catch (error) {
        if (attempt >= settings.max_attempts || !mayRepeat(req.method, error)) throw error;
        const delayMs = backoffMs(attempt, settings.retry_backoff_ms, error);
        const rpc = `${req.service.typeName}/${req.method.name}`;
        if (delayMs >= leftMs(req)) throw error;
        if (!budget.spend()) {
          retries.labels(service, rpc, "refused").inc();
          throw error;
        }
        retries.labels(service, rpc, "repeated").inc();
        await pause(delayMs, req.signal, error);
      }
    }
  };
}

function mayRepeat(method: DescMethod, error: unknown): boolean {
  if (!(error instanceof ConnectError) || error.code !== Code.Unavailable) return false;
  return (
    notSent.has(error) || method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN
  );
}

/** Doubled each time, half of it by chance so that callers don't come back all at once. */
function backoffMs(attempt: number, firstMs: number, error: unknown): number {
  const fullMs = Math.min(firstMs * 2 ** (attempt - 1), backoffMaxMs);
  const jittered = fullMs / 2 + (Math.random() * fullMs) / 2;
  return Math.max(jittered, faultOf(error).retryAfterMs ?? 0);
}

function leftMs(req: Request): number {
  return (req.contextValues.get(deadlineKey) ?? Infinity) - performance.now();
}

/** Waits, or throws the call's own failure when the caller leaves meanwhile. */
function pause(ms: number, signal: AbortSignal, failure: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = () => {
      clearTimeout(timer);
      reject(failure);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", gone);
      resolve();
    }, ms);
    signal.addEventListener("abort", gone, { once: true });
  });
}

/** Tokens for repetitions: some for each call made, some for each second that passes. */
class Budget {
  readonly #ratio: number;
  readonly #perMs: number;
  readonly #max: number;
  readonly #clock: Clock;
  #tokens: number;
  #filledAtMs: number;

  constructor(settings: ChassisSettings["calls"], clock: Clock) {
    this.#ratio = settings.retry_budget_ratio;
    this.#perMs = settings.retry_minimum_per_second / 1_000;
    // What ten seconds of quiet may save up.
    this.#max = Math.max(1, settings.retry_minimum_per_second * 10);
    this.#clock = clock;
    this.#tokens = settings.retry_minimum_per_second;
    this.#filledAtMs = clock.monotonicMs();
  }

  earn(): void {
    this.#add(this.#ratio);
  }

  spend(): boolean {
    const nowMs = this.#clock.monotonicMs();
    this.#add((nowMs - this.#filledAtMs) * this.#perMs);
    this.#filledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  #add(tokens: number): void {
    this.#tokens = Math.min(this.#max, this.#tokens + tokens);
  }
}
