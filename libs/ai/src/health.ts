import type { Clock } from "@soldier/kernel/clock";
import type { Fault } from "@soldier/kernel/fault";
import type { ModelFaultReason } from "./language-model.ts";

/** For a provider that is at its limits and does not say for how long. */
const restStandardMs = 1_000;
/** Longer than this no provider's word is taken for it: one wrong header would switch it off. */
const restMaxMs = 300_000;
/** After so many failures in a row a model is tried last. */
const failuresMax = 3;
/** For so long after the latest of them. */
const lastForMs = 30_000;

export interface Rest {
  readonly leftMs: number;
  readonly reason: ModelFaultReason;
}

/** What is remembered of a model's failures, to leave it alone or to try it last. */
export interface Health {
  /** While the provider has asked not to be called. */
  rest(): Rest | undefined;
  /** Whether it keeps failing, so that others go first. */
  failing(): boolean;
  answered(): void;
  failed(fault: Fault): void;
}

export function health(clock: Clock): Health {
  let resting: { readonly untilMs: number; readonly reason: ModelFaultReason } | undefined;
  let failures = 0;
  let latestMs = -Infinity;

  return {
    rest() {
      if (!resting) return undefined;
      const leftMs = resting.untilMs - clock.monotonicMs();
      if (leftMs > 0) return { leftMs, reason: resting.reason };
      resting = undefined;
      return undefined;
    },
    failing: () => failures >= failuresMax && clock.monotonicMs() - latestMs < lastForMs,
    answered() {
      failures = 0;
    },
    failed({ kind, reason, retryAfterMs }) {
      if (reason === "MODEL_RATE_LIMITED" || reason === "MODEL_OVERLOADED") {
        const restMs = Math.min(retryAfterMs ?? restStandardMs, restMaxMs);
        resting = { untilMs: clock.monotonicMs() + restMs, reason };
      } else if (kind === "deadline" || providersOwn.has(reason)) {
        failures++;
        latestMs = clock.monotonicMs();
      }
    },
  };
}

/** The others are about the request: the next one may do better. */
const providersOwn: ReadonlySet<string> = new Set([
  "MODEL_AUTH",
  "MODEL_BAD_OUTPUT",
  "MODEL_UNAVAILABLE",
]);
