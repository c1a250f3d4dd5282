import type { DescMethod } from "@bufbuild/protobuf";
import type {
  Interceptor,
  StreamRequest,
  StreamResponse,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import { Fault } from "@soldier/kernel/fault";

export type Request = UnaryRequest | StreamRequest;
export type Response = UnaryResponse | StreamResponse;
export type Next = (req: Request) => Promise<Response>;

export function isUnary(method: DescMethod): method is UnaryRequest["method"] {
  return method.methodKind === "unary";
}

export function isStreaming(method: DescMethod): method is StreamRequest["method"] {
  return method.methodKind !== "unary";
}

/** What to do around one call; exactly one of `ended` and `failed` is called, once. */
export interface Around {
  /** Runs each part of the call: the call itself and, for a stream, each of its messages. */
  run?<T>(part: () => T): T;
  ended?(): void;
  /** Returns the error to go on with. A caller that leaves a stream early counts as "cancelled". */
  failed?(error: unknown): unknown;
}

/**
 * An interceptor that sees a call to its end. A stream ends, or fails, while it is read: long after
 * next() has returned.
 */
export function around(begin: (req: Request) => Around): Interceptor {
  return (next) => async (req) => {
    const call = begin(req);
    let res: Response;
    try {
      res = await (call.run ? call.run(() => next(req)) : next(req));
    } catch (error) {
      throw call.failed ? call.failed(error) : error;
    }
    if (res.stream) return { ...res, message: watched(res.message, call) };
    call.ended?.();
    return res;
  };
}

/** The same messages, with the call's hooks. */
export function watched<T>(source: AsyncIterable<T>, call: Around): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const messages = source[Symbol.asyncIterator]();
      const step = call.run?.bind(call) ?? ((part) => part());
      let over = false;
      const failed = (error: unknown): unknown => {
        if (over) return error;
        over = true;
        return call.failed ? call.failed(error) : error;
      };
      return {
        async next() {
          try {
            const result = await step(() => messages.next());
            if (result.done && !over) {
              over = true;
              call.ended?.();
            }
            return result;
          } catch (error) {
            throw failed(error);
          }
        },
        async return() {
          if (!over) {
            over = true;
            call.failed?.(left()); // made only for who asks: it takes a stack trace
          }
          await step(() => messages.return?.());
          return { done: true, value: undefined };
        },
      };
    },
  };
}

/**
 * The same messages as the function makes them; what it throws ends the source. An async generator would
 * do, at three times the cost of each message, and every message passes several of these.
 */
export function mapped<I, O>(source: AsyncIterable<I>, make: (message: I) => O): AsyncIterable<O> {
  return {
    [Symbol.asyncIterator]() {
      const messages = source[Symbol.asyncIterator]();
      return {
        async next() {
          const result = await messages.next();
          if (result.done) return result;
          try {
            return { done: false, value: make(result.value) };
          } catch (error) {
            await messages.return?.();
            throw error;
          }
        },
        async return() {
          await messages.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}

export function left(): Fault {
  return new Fault("cancelled", "the call was cancelled");
}

/**
 * The same messages; when the signal aborts, whoever waits for the next one gets its reason at
 * once, even if the source never answers.
 */
export function untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const messages = source[Symbol.asyncIterator]();
      let giveUp: ((reason: unknown) => void) | undefined;
      const aborted = () => {
        giveUp?.(signal.reason);
        // Let the source clean up; it may be stuck, and what it says no longer matters.
        messages.return?.().then(undefined, () => {});
      };
      signal.addEventListener("abort", aborted, { once: true });
      const over = () => signal.removeEventListener("abort", aborted);
      return {
        next: () =>
          new Promise((resolve, reject) => {
            if (signal.aborted) return reject(signal.reason);
            giveUp = reject;
            messages.next().then(
              (result) => {
                if (result.done) over();
                resolve(result);
              },
              (error: unknown) => {
                over();
                reject(signal.aborted ? signal.reason : error);
              },
            );
          }),
        async return() {
          over();
          await messages.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
