import { createContextKey, type Interceptor } from "@connectrpc/connect";
import { Fault } from "@soldier/kernel/fault";
import { left, untilAborted, watched } from "./around.ts";
import { admit } from "./current.ts";
import { lasts } from "./lasting.ts";

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
 * listens to its signal or not. No call lasts longer than the maximum, but for streams that the contract
 * lets last: of these no silence does.
 */
export function deadlines(maxMs: number): Interceptor {
  return (next) => async (req) => {
    const isLasting = lasts(req.method);
    const statedMs = req.contextValues.get(timeoutKey);
    const timeoutMs = isLasting ? statedMs : Math.min(statedMs ?? maxMs, maxMs, timerMaxMs);
    const deadlineAtMs = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
    req.contextValues.set(deadlineKey, deadlineAtMs);
    const ending = new Ending(req.signal, timeoutMs, isLasting ? maxMs : undefined);
    // Each message is asked for when the one before has come and gone.
    const run = <T>(part: () => T): T => {
      ending.goesOn();
      return part();
    };
    req.contextValues.set(whenOverKey, ending.whenOver);
    admit({ deadlineAtMs, signal: ending.signal });
    try {
      const { signal } = ending;
      const res = await ending.race(
        next(
          req.stream
            ? { ...req, signal, message: watched(untilAborted(req.message, signal), { run }) }
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
          run,
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
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #silence: NodeJS.Timeout | undefined;
  readonly #caller: AbortSignal;
  readonly #done: (() => void)[] = [];
  readonly #callerLeft = () => this.#abort(left());
  #giveUp: ((reason: unknown) => void) | undefined;

  /** After so long, and after a silence of so long; undefined: never of that. */
  constructor(caller: AbortSignal, timeoutMs: number | undefined, silenceMs: number | undefined) {
    this.#caller = caller;
    if (timeoutMs !== undefined) this.#after(Math.min(timeoutMs, timerMaxMs), late);
    this.#silence = silenceMs === undefined ? undefined : this.#after(silenceMs, silent);
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

  /** Something was said: a silence begins anew. */
  goesOn(): void {
    if (this.#timers.length > 0) this.#silence?.refresh();
  }

  over(): void {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
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

  #after(ms: number, reason: () => Fault): NodeJS.Timeout {
    const timer = setTimeout(() => this.#abort(reason()), Math.max(0, ms));
    this.#timers.push(timer);
    return timer;
  }

  #abort(reason: Fault): void {
    this.over();
    this.#controller.abort(reason);
    this.#giveUp?.(reason);
  }
}

function silent(): Fault {
  return new Fault("deadline", "nothing came for longer than may be: send what is left again", {
    reason: "STREAM_SILENT",
  });
}

function late(): Fault {
  return new Fault("deadline", "the call took longer than it may");
}
