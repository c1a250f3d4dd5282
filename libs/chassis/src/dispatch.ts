import { create, type DescMethod, type DescService } from "@bufbuild/protobuf";
import {
  createServiceImplSpec,
  type HandlerContext,
  type Interceptor,
  type MethodImplSpec,
} from "@connectrpc/connect";
import { mapped, type Next, type Request, type Response } from "./around.ts";
import { deadlineKey } from "./deadline.ts";
import type { Route } from "./service.ts";

/** Answers calls of one method, interceptors and all. Rejects with a ConnectError. */
export type Handle = Next;

/** The handlers of a process, by the method of the contract that they implement. */
export type Dispatch = ReadonlyMap<DescMethod, Handle>;

/** Puts the interceptors around the routes' handlers. Transports only carry calls to the result. */
export function dispatch(routes: readonly Route[], interceptors: readonly Interceptor[]): Dispatch {
  const handlers = new Map<DescMethod, Handle>();
  for (const { service, implementation } of routes) {
    const spec = createServiceImplSpec(service, implementation);
    for (const method of Object.values(spec.methods))
      handlers.set(method.method, layered(handlerOf(method), interceptors));
  }
  return handlers;
}

/** The services that have handlers here. */
export function servicesOf(handlers: Dispatch): readonly DescService[] {
  return [...new Set([...handlers.keys()].map((method) => method.parent))];
}

/** The first interceptor is outermost. */
export function layered(innermost: Next, interceptors: readonly Interceptor[]): Next {
  // An interceptor takes and returns just this type; Connect doesn't export its name.
  return interceptors.reduceRight<Next>((next, around) => around(next) as Next, innermost);
}

function handlerOf(spec: MethodImplSpec): Next {
  const { output } = spec.method;
  return async (req) => {
    const responseHeader = new Headers();
    const responseTrailer = new Headers();
    const ctx = contextOf(req, responseHeader, responseTrailer);
    const common = {
      service: req.service,
      method: req.method,
      header: responseHeader,
      trailer: responseTrailer,
    };
    if (spec.kind === "unary") {
      if (req.stream) throw new TypeError(`${req.method.name} is unary`);
      const message = create(output, await spec.impl(req.message, ctx));
      return { ...common, stream: false, message } as Response; // the kind of the method says so
    }
    if (!req.stream) throw new TypeError(`${req.method.name} is a stream`);
    const answers = await begun(await answersOf(spec, req.message, ctx));
    const message = mapped(answers, (answer) => create(output, answer));
    return { ...common, stream: true, message } as Response; // the same
  };
}

type Streaming = Exclude<MethodImplSpec, { kind: "unary" }>;
type Messages = Extract<Request, { stream: true }>["message"];
type Answers = ReturnType<Extract<MethodImplSpec, { kind: "bidi_streaming" }>["impl"]>;

async function answersOf(
  spec: Streaming,
  requests: Messages,
  ctx: HandlerContext,
): Promise<Answers> {
  switch (spec.kind) {
    case "server_streaming": {
      for await (const request of requests) return spec.impl(request, ctx);
      throw new TypeError(`${spec.method.name} was called without a request`);
    }
    case "client_streaming":
      return once(() => spec.impl(requests, ctx));
    case "bidi_streaming":
      return spec.impl(requests, ctx);
  }
}

/** The same answers, the first of them ready: until then a handler may set headers. */
async function begun(answers: Answers): Promise<Answers> {
  const iterator = answers[Symbol.asyncIterator]();
  const first = await iterator.next();
  let taken = false;
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        if (taken) return iterator.next();
        taken = true;
        return first;
      },
      async return() {
        await iterator.return?.();
        return { done: true, value: undefined };
      },
    }),
  };
}

async function* once<T>(make: () => Promise<T>): AsyncIterable<T> {
  yield await make();
}

function contextOf(
  req: Request,
  responseHeader: Headers,
  responseTrailer: Headers,
): HandlerContext {
  return {
    method: req.method,
    service: req.service,
    signal: req.signal,
    timeoutMs() {
      const deadlineAtMs = req.contextValues.get(deadlineKey);
      return deadlineAtMs && Math.max(0, deadlineAtMs - performance.now());
    },
    requestMethod: req.requestMethod,
    requestHeader: req.header,
    responseHeader,
    responseTrailer,
    protocolName: "grpc",
    values: req.contextValues,
    url: req.url,
  };
}
