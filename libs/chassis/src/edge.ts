import * as http from "node:http";
import * as http2 from "node:http2";
import type { Socket } from "node:net";
import type { DescService } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type HandlerContext,
  createContextValues,
  type MethodImpl,
} from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { isStreaming, isUnary, type Response } from "./around.ts";
import type { ChassisSettings } from "./chassis-settings.ts";
import { timeoutKey } from "./deadline.ts";
import { type Dispatch, type Handle, servicesOf } from "./dispatch.ts";
import { type ListenAt, type Listener, portTaken } from "./listener.ts";
import type { HttpHandler } from "./service.ts";

export interface EdgeOptions {
  readonly handlers: Dispatch;
  /** Every request that is no RPC. */
  readonly http: HttpHandler;
  readonly settings: ChassisSettings["server"];
  readonly at: ListenAt;
}

/**
 * Serves the handlers to the world: Connect, gRPC and gRPC-Web, by HTTP/1.1 and cleartext HTTP/2,
 * on one port, with the rest of the requests going to the plain handler.
 */
export async function listenEdge({
  handlers,
  http: plain,
  settings,
  at,
}: EdgeOptions): Promise<Listener> {
  const answer = connectNodeAdapter({
    routes: (router) => addRoutes(router, handlers),
    // The compatibility API of HTTP/2 gives the same requests and responses as HTTP/1.1 does.
    fallback: plain as Parameters<typeof connectNodeAdapter>[0]["fallback"] & {},
    readMaxBytes: settings.max_message_bytes,
    writeMaxBytes: settings.max_message_bytes,
    // Compression costs more than it saves on a local network; to the outside the ingress does it.
    acceptCompression: [],
  });
  const second = http2.createServer(
    // Node cuts the whole connection when clients cancel a thousand calls in a burst, which many
    // users behind one proxy may well do.
    { streamResetBurst: 100_000, streamResetRate: 10_000 },
    answer,
  );
  const sessions = new Set<http2.ServerHttp2Session>();
  second.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  const first = http.createServer(answer);
  sortByVersion(first, second);
  const port = await listening(first, at);
  return {
    port,
    async drain(timeoutMs) {
      const closed = new Promise<void>((resolve) => first.close(() => resolve()));
      for (const session of sessions) session.close(); // calls in flight finish
      const idle = setInterval(() => first.closeIdleConnections(), 50);
      const force = setTimeout(() => {
        for (const session of sessions) session.destroy();
        first.closeAllConnections();
      }, timeoutMs);
      await closed;
      clearInterval(idle);
      clearTimeout(force);
    },
  };
}

/** Hands each connection to the server of its version, by the first bytes that it sends. */
function sortByVersion(first: http.Server, second: http2.Http2Server): void {
  const takeFirst = first.listeners("connection");
  first.removeAllListeners("connection");
  first.on("connection", (socket: Socket) => {
    // A silent connection is let go as one is that never finishes its headers.
    const patience = setTimeout(() => socket.destroy(), first.headersTimeout);
    const quiet = () => {};
    socket.on("error", quiet); // until a server takes it: a client that resets is no event
    socket.once("close", () => clearTimeout(patience));
    let seen: Buffer = Buffer.alloc(0);
    const sniff = (): void => {
      const chunk: unknown = socket.read();
      if (chunk instanceof Buffer) seen = Buffer.concat([seen, chunk]);
      if (seen.length < preface.length && preface.startsWith(seen.toString("latin1"))) return;
      socket.off("readable", sniff);
      socket.off("error", quiet);
      clearTimeout(patience);
      socket.unshift(seen);
      if (seen.toString("latin1").startsWith(preface)) second.emit("connection", socket);
      else for (const take of takeFirst) take.call(first, socket);
    };
    socket.on("readable", sniff);
  });
}

/** No HTTP/1.1 method begins like HTTP/2's connection preface. */
const preface = "PRI ";

function listening(server: http.Server, at: ListenAt): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(portTaken(at, error)));
    server.listen(at.port, at.host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : at.port);
    });
  });
}

function addRoutes(router: ConnectRouter, handlers: Dispatch): void {
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
  for await (const message of res.message) {
    copied(res.header, ctx.responseHeader); // a handler may set headers until its first message
    yield message;
  }
  copied(res.header, ctx.responseHeader);
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
