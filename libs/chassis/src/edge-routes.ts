import type { DescService } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type HandlerContext,
  createContextValues,
  type MethodImpl,
} from "@connectrpc/connect";
import { isStreaming, isUnary, type Response } from "./around.ts";
import { timeoutKey } from "./deadline.ts";
import { type Dispatch, type Handle, servicesOf } from "./dispatch.ts";

/** Adds the handlers to Connect's router, which speaks the three protocols. */
export function addRoutes(router: ConnectRouter, handlers: Dispatch): void {
  for (const service of servicesOf(handlers))
    router.service(service, implementationOf(service, handlers));
}

function implementationOf(service: DescService, handlers: Dispatch) {
  const implementation: Record<string, MethodImpl<(typeof service)["methods"][number]>> = {};
  for (const method of service.methods) {
    const handle = handlers.get(method);
    if (handle) implementation[method.localName] = adapted(method, handle);
  }
  return implementation;
}

/** A handler as Connect's router wants it; our own interceptors are in it already. */
function adapted(method: DescService["methods"][number], handle: Handle): never {
  // The router calls each with what the method's kind says; the kinds are told apart below.
  return implementationFor(method, handle) as never;
}

function implementationFor(method: DescService["methods"][number], handle: Handle) {
  if (isUnary(method))
    return async (message: never, ctx: HandlerContext) => {
      const res = await handle({ ...requestOf(ctx), stream: false, method, message });
      return await lastOf(res, ctx);
    };
  if (!isStreaming(method)) throw new TypeError(`${method.name} is of no known kind`);
  const open = async (message: AsyncIterable<never>, ctx: HandlerContext) =>
    handle({ ...requestOf(ctx), stream: true, method, message });
  switch (method.methodKind) {
    case "client_streaming":
      return async (messages: AsyncIterable<never>, ctx: HandlerContext) =>
        lastOf(await open(messages, ctx), ctx);
    case "server_streaming":
      return (message: never, ctx: HandlerContext) => allOf(open(only(message), ctx), ctx);
    case "bidi_streaming":
      return (messages: AsyncIterable<never>, ctx: HandlerContext) =>
        allOf(open(messages, ctx), ctx);
  }
}

async function lastOf(res: Response, ctx: HandlerContext): Promise<unknown> {
  let last: unknown;
  if (res.stream) for await (const message of res.message) last = message;
  else last = res.message;
  copied(res.header, ctx.responseHeader);
  copied(res.trailer, ctx.responseTrailer);
  return last;
}

async function* allOf(handled: Promise<Response>, ctx: HandlerContext) {
  const res = await handled;
  if (!res.stream) throw new TypeError("a streaming handler answered once");
  copied(res.header, ctx.responseHeader);
  yield* res.message;
  copied(res.trailer, ctx.responseTrailer);
}

async function* only<T>(message: T): AsyncIterable<T> {
  yield message;
}

function copied(from: Headers, to: Headers): void {
  for (const [key, value] of from) if (!to.has(key)) to.append(key, value);
}

function requestOf(ctx: HandlerContext) {
  return {
    service: ctx.service,
    requestMethod: ctx.requestMethod,
    url: ctx.url,
    signal: ctx.signal,
    header: ctx.requestHeader,
    contextValues: createContextValues().set(timeoutKey, ctx.timeoutMs()),
  };
}
