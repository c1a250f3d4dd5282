import { createContextKey, type Interceptor } from "@connectrpc/connect";
import { Fault } from "@soldier/kernel/fault";
import { left, untilAborted, watched } from "./around.ts";
import { admit } from "./current.ts";

/** What the caller allows, in milliseconds from the call's arrival; undefined when nothing was said. */
export const timeoutKey = createContextKey<number | undefined>(undefined, {
  description: "timeout",
});

/** When the call must have ended, on performance.now()'s scale. */
export const deadlineKey = createContextKey<number | undefined>(undefined, {
  description: "deadline",
});

/** Takes what is to be done when the call is over, however it ends: a stream with its last message. */
export const whenOverKey = createContextKey<(done: () => void) => void>((done) => done(), {
  description: "when over",
});

// A longer one overflows setTimeout, which would then fire at once.
const timerMaxMs = 2 ** 31 - 1;

/**
 * Server side: the call ends when its caller leaves or its deadline passes, whether the handler
 * listens to its signal or not. No call lasts longer than the maximum.
 */
export function deadlines(maxMs: number): Interceptor {
  return (next) => async (req) => {
    const timeoutMs = Math.min(req.contextValues.get(timeoutKey) ?? maxMs, maxMs, timerMaxMs);
    const deadlineAtMs = performance.now() + timeoutMs;
    req.contextValues.set(deadlineKey, deadlineAtMs);
    const ending = new Ending(req.signal, timeoutMs);
    req.contextValues.set(whenOverKey, ending.whenOver);
    admit({ deadlineAtMs, signal: ending.signal });
    try {
      const { signal } = ending;
      const res = await ending.race(
        next(
          req.stream
            ? { ...req, signal, message: untilAborted(req.message, signal) }
            : { ...req, signal },
        ),
      );
      if (!res.stream) {
        ending.over();
        return res;
      }
      return {
        ...res,
        message: watched(untilAborted(res.message, signal), {
          ended: () => ending.over(),
          failed: (error) => ending.cut(error),
        }),
      };
    } catch (error) {
      throw ending.cut(error);
    }
  };
}

/** The two ways in which a call is ended from outside. */
class Ending {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #caller: AbortSignal;
  readonly #done: (() => void)[] = [];
  readonly #callerLeft = () => this.#abort(left());
  #giveUp: ((reason: unknown) => void) | undefined;

  constructor(caller: AbortSignal, timeoutMs: number) {
    this.#caller = caller;
    this.#timer = setTimeout(() => this.#abort(late()), Math.max(0, timeoutMs));
    if (caller.aborted) this.#abort(left());
    else caller.addEventListener("abort", this.#callerLeft, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The work's outcome, or the reason why it was ended before. */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      work.then(resolve, reject);
      if (this.signal.aborted) reject(this.signal.reason);
    });
  }

  readonly whenOver = (done: () => void): void => {
    this.#done.push(done);
  };

  over(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener("abort", this.#callerLeft);
    for (const done of this.#done.splice(0)) done();
  }

  /** Ends the call after a failure; what failed because the call had ended, failed of that. */
  cut(error: unknown): unknown {
    this.over();
    if (this.signal.aborted) return this.signal.reason;
    // What the handler began and left behind is told to stop.
    if (error instanceof Fault && error.kind === "cancelled") this.#abort(error);
    return error;
  }

  #abort(reason: Fault): void {
    this.over();
    this.#controller.abort(reason);
    this.#giveUp?.(reason);
  }
}

function late(): Fault {
  return new Fault("deadline", "the call took longer than it may");
}
