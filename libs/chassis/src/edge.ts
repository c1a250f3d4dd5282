import * as http from "node:http";
import * as http2 from "node:http2";
import type { Socket } from "node:net";
import { createConnectRouter } from "@connectrpc/connect";
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { ChassisSettings } from "./chassis-settings.ts";
import type { Dispatch } from "./dispatch.ts";
import { addRoutes } from "./edge-routes.ts";
import { type ListenAt, type Listener, portTaken } from "./listener.ts";
import type { Logger } from "./log.ts";
import type { HttpHandler } from "./service.ts";

export interface EdgeOptions {
  readonly handlers: Dispatch;
  /** Every request that is no RPC. */
  readonly http: HttpHandler;
  readonly settings: ChassisSettings["server"];
  readonly at: ListenAt;
  readonly log: Logger;
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
  log,
}: EdgeOptions): Promise<Listener> {
  const answer = answering(handlers, plain, settings, log);
  const second = http2.createServer(
    // Node cuts the whole connection when clients cancel a thousand calls in a burst, which many
    // users behind one proxy may well do.
    {
      streamResetBurst: 100_000,
      streamResetRate: 10_000,
      settings: { maxConcurrentStreams: streamsMax },
    },
    // The compatibility API of HTTP/2 gives the same requests and responses as HTTP/1.1 does.
    (req, res) =>
      answer(req as unknown as http.IncomingMessage, res as unknown as http.ServerResponse),
  );
  const sessions = new Set<http2.ServerHttp2Session>();
  second.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.setTimeout(idleSessionMs, () => session.close()); // open calls go on
  });
  const first = http.createServer(answer);
  first.maxConnections = settings.connections_max; // more are closed as they come
  first.keepAliveTimeout = idleConnectionMs;
  const silent = sortByVersion(first, second);
  const port = await listening(first, at);
  return {
    port,
    async drain(timeoutMs) {
      const closed = new Promise<void>((resolve) => first.close(() => resolve()));
      for (const session of sessions) session.close(); // calls in flight finish
      for (const socket of silent) socket.destroy(); // neither server knows of them
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

/** Connect's handlers by path; what is no RPC goes to the plain handler. */
function answering(
  handlers: Dispatch,
  plain: HttpHandler,
  settings: ChassisSettings["server"],
  log: Logger,
): HttpHandler {
  const router = createConnectRouter({
    readMaxBytes: settings.max_message_bytes,
    writeMaxBytes: settings.max_message_bytes,
    // Compression costs more than it saves on a local network; to the outside the ingress does it.
    acceptCompression: [],
  });
  addRoutes(router, handlers);
  const paths = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (req, res) => {
    const handler = paths.get((req.url ?? "").replace(/\?.*$/, ""));
    if (!handler) return plain(req, res);
    hangUpAfter(req);
    const request = universalRequestFromNodeRequest(req, res, undefined, undefined);
    handler(request)
      .then((response) => universalResponseToNodeResponse(response, res))
      // The handler's failures have gone to the client: what is left is a client that went away.
      .catch((error: unknown) => log.debug({ error }, "an answer could not be delivered"));
    return undefined;
  };
}

/**
 * Once we have answered, tells a client that is still sending that nobody listens: else its stream
 * stays open, and with it the connection when we leave. Not at once, since a client of Node's drops
 * what it has not read yet.
 */
function hangUpAfter(req: http.IncomingMessage): void {
  if (!("stream" in req) || !isHttp2Stream(req.stream)) return;
  const { stream } = req;
  stream.once("finish", () => {
    if (stream.readableEnded || stream.closed) return;
    const hangUp = () => {
      stream.close(http2.constants.NGHTTP2_NO_ERROR);
      stream.destroy(); // unread data would keep it
    };
    const timer = setTimeout(hangUp, hangUpDelayMs);
    stream.once("close", () => clearTimeout(timer));
  });
}

const hangUpDelayMs = 1_000;

function isHttp2Stream(value: unknown): value is http2.ServerHttp2Stream {
  return typeof value === "object" && value !== null && "rstCode" in value;
}

/**
 * Hands each connection to the server of its version, by the first bytes that it sends. Returns
 * those that have sent none yet, as they come and go.
 */
function sortByVersion(first: http.Server, second: http2.Http2Server): ReadonlySet<Socket> {
  const silent = new Set<Socket>();
  const takeFirst = first.listeners("connection");
  first.removeAllListeners("connection");
  first.on("connection", (socket: Socket) => {
    // A silent connection is let go as one is that never finishes its headers.
    const patience = setTimeout(() => socket.destroy(), first.headersTimeout);
    const quiet = () => {};
    socket.on("error", quiet); // until a server takes it: a client that resets is no event
    const gone = () => socket.destroy();
    socket.on("end", gone);
    silent.add(socket);
    socket.once("close", () => {
      clearTimeout(patience);
      silent.delete(socket);
    });
    let seen: Buffer = Buffer.alloc(0);
    const sniff = (): void => {
      const chunk: unknown = socket.read();
      if (chunk instanceof Buffer) seen = Buffer.concat([seen, chunk]);
      if (seen.length < preface.length && preface.startsWith(seen.toString("latin1"))) return;
      socket.off("readable", sniff);
      socket.off("error", quiet);
      socket.off("end", gone);
      clearTimeout(patience);
      silent.delete(socket);
      socket.unshift(seen);
      if (seen.toString("latin1").startsWith(preface)) second.emit("connection", socket);
      else for (const take of takeFirst) take.call(first, socket);
    };
    socket.on("readable", sniff);
  });
  return silent;
}

/** Calls of one connection at a time; a proxy opens another when it has more. */
const streamsMax = 1_000;

/**
 * Longer than load balancers keep an idle connection, 60 seconds mostly: whoever closes first cuts off a
 * request that the other is just sending.
 */
const idleConnectionMs = 75_000;

/** A connection of HTTP/2, which announces its end, is let go when it has been silent for so long. */
const idleSessionMs = 900_000;

/** No HTTP/1.1 method begins like HTTP/2's connection preface. */
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

function listening(server: http.Server, at: ListenAt): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(portTaken(at, error)));
    server.listen(at.port, at.host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : at.port);
    });
  });
}
