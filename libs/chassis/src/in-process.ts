import { create, type DescMethod } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createContextValues,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import { timeoutKey } from "./deadline.ts";
import type { Dispatch, Handle } from "./dispatch.ts";
import { mapped, watched } from "./around.ts";
import { limited } from "./message-size.ts";

/**
 * Calls that are function calls: messages are handed over as they are, interceptors run as they do
 * behind a socket. The handlers are asked for at each call, since they may not exist yet.
 */
export function inProcess(handlers: () => Dispatch, maxMessageBytes: number): Transport {
  const turns = new Turns();

  const handlerOf = (method: DescMethod) => {
    const handle = handlers().get(method);
    if (handle) return handle;
    const name = `${method.parent.typeName}/${method.name}`;
    throw new ConnectError(`${name} is not served here`, Code.Unimplemented);
  };

  return {
    async unary(method, signal, timeoutMs, header, input) {
      const handle = handlerOf(method);
      const pause = turns.pause();
      if (pause) await pause;
      const req = {
        ...request(method, signal, timeoutMs, header),
        stream: false,
        method,
        message: limited(create(method.input, input), maxMessageBytes),
      } as const;
      // The handler's types were lost in the table; its method is their witness.
      const res = (await handle(req as Parameters<Handle>[0])) as UnaryResponse<never, never>;
      limited(res.message, maxMessageBytes);
      return res;
    },
    async stream(method, signal, timeoutMs, header, input) {
      const handle = handlerOf(method);
      const req = {
        ...request(method, signal, timeoutMs, header),
        stream: true,
        method,
        message: turns.fair(
          mapped(input, (message) => limited(create(method.input, message), maxMessageBytes)),
        ),
      } as const;
      const res = (await handle(req as Parameters<Handle>[0])) as StreamResponse<never, never>;
      const answers = mapped(res.message, (message) => limited(message, maxMessageBytes));
      return { ...res, message: turns.fair(answers) };
    },
  };
}

function request(
  method: DescMethod,
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
  header: ConstructorParameters<typeof Headers>[0],
) {
  return {
    service: method.parent,
    requestMethod: "POST",
    url: `inproc://${method.parent.typeName}/${method.name}`,
    signal: signal ?? neverAborted,
    header: header instanceof Headers ? header : new Headers(header),
    contextValues: createContextValues().set(timeoutKey, timeoutMs),
  };
}

const neverAborted = new AbortController().signal;

/**
 * Gives timers and sockets their turn. Calls in one process resolve by promises alone, so a loop of
 * them would let nothing else run.
 */
class Turns {
  #beganMs = 0;
  #known = false;

  /** A promise to wait for when this turn of the event loop has lasted long enough. */
  pause(): Promise<void> | undefined {
    if (!this.#known) {
      this.#known = true;
      this.#beganMs = performance.now();
      setImmediate(() => {
        this.#known = false;
      });
      return undefined;
    }
    if (performance.now() - this.#beganMs < turnMaxMs) return undefined;
    return new Promise((resolve) => setImmediate(resolve));
  }

  fair<T>(messages: AsyncIterable<T>): AsyncIterable<T> {
    return watched(messages, {
      run: (part) => {
        const pause = this.pause();
        // Parts of a stream are asynchronous, so whoever runs them awaits them.
        return pause ? (pause.then(part) as ReturnType<typeof part>) : part();
      },
    });
  }
}

const turnMaxMs = 10;
