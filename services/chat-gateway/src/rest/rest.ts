import type { IncomingMessage, ServerResponse } from "node:http";
import type { Message } from "@bufbuild/protobuf";
import { createContextValues, type Interceptor } from "@connectrpc/connect";
import type { Admission } from "@soldier/chassis/admission";
import { isStreaming, isUnary } from "@soldier/chassis/around";
import { currentCall } from "@soldier/chassis/current";
import { dispatch } from "@soldier/chassis/dispatch";
import { actingAs, identityKey } from "@soldier/chassis/identity";
import type { Logger } from "@soldier/chassis/log";
import { roles } from "@soldier/chassis/roles";
import type { HttpHandler, Route } from "@soldier/chassis/service";
import { currentTraceId } from "@soldier/chassis/tracing";
import { validation } from "@soldier/chassis/validation";
import { Fault } from "@soldier/kernel/fault";
import type { IdentityFrom } from "../admission/tokens.ts";
import { cors } from "./cors.ts";
import { errorReply } from "./error-reply.ts";
import { jsonLines, sendStream, serverSentEvents } from "./message-stream.ts";
import { messageJson } from "./message-text.ts";
import type { PathMatch, PathTable } from "./path-template.ts";
import { jsonBody } from "./request-body.ts";
import { requestMessage } from "./request-message.ts";
import { type PathRoutes, type RestRoute, restRoutes, routeTable } from "./rest-routes.ts";

export interface RestParts {
  /** The handlers; REST calls them as the other protocols do. */
  readonly routes: readonly Route[];
  readonly authenticate: IdentityFrom;
  readonly admission: Admission;
  /** Documents that anyone may read, by path. */
  readonly documents: ReadonlyMap<string, { readonly type: string; readonly text: string }>;
  readonly allowedOrigins: readonly string[];
  readonly bodySizeMaxBytes: number;
  readonly heartbeatMs: number;
  readonly log: Logger;
}

/** Serves the methods of the contract as their HTTP annotations say. */
export function rest(parts: RestParts): HttpHandler {
  const table = routeTable(restRoutes(parts.routes.map(({ service }) => service)));
  const handlers = dispatch(parts.routes, [identified, roles, validation]);
  const crossOrigin = cors(parts.allowedOrigins);

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (crossOrigin.answered(req, res)) return;
    const { pathname, searchParams } = targetOf(req);
    const document = parts.documents.get(pathname);
    if (document) {
      requireRead(req);
      send(res, 200, document.type, document.text);
      return;
    }
    const match = matchOf(table, pathname);
    const route = routeOf(match.found, req);
    const header = headersOf(req);
    const identity = await parts.authenticate(header);
    const { tenantId } = identity;
    // Before the body, which may be large.
    const place = await parts.admission.enter({ tenantId, signal: currentCall().signal });
    try {
      await actingAs(identity, async () => {
        const body = route.body && (await jsonBody(req, parts.bodySizeMaxBytes));
        const message = requestMessage(route, {
          pathValues: match.values,
          query: searchParams,
          body,
        });
        await respond(route, message, header, req, res);
      });
    } finally {
      place.leave();
    }
  }

  async function respond(
    { method }: RestRoute,
    message: Message,
    header: Headers,
    req: IncomingMessage,
    res: ServerResponse,
  ): Promise<void> {
    const handle = handlers.get(method);
    if (!handle) throw new Fault("unimplemented", `${method.name} is not served here`);
    const call = {
      service: method.parent,
      requestMethod: "POST",
      url: req.url ?? "",
      signal: currentCall().signal ?? neverAborted,
      header,
      contextValues: createContextValues(),
    };
    if (isUnary(method)) {
      const answered = await handle({ ...call, stream: false, method, message });
      if (answered.stream) throw new TypeError(`${method.name} answered with a stream`);
      const json = messageJson(method.output, answered.message);
      send(res, 200, jsonType, JSON.stringify(json));
      return;
    }
    if (!isStreaming(method)) throw new TypeError(`${method.name} is of no known kind`);
    const answered = await handle({ ...call, stream: true, method, message: only(message) });
    if (!answered.stream) throw new TypeError(`${method.name} answered without a stream`);
    const lines = /application\/x-ndjson/i.test(req.headers.accept ?? "");
    await sendStream(res, answered.message, {
      format: lines ? jsonLines : serverSentEvents,
      schema: method.output,
      heartbeatMs: parts.heartbeatMs,
      traceId: currentTraceId() ?? "",
    });
  }

  return (req, res) => {
    const traceId = currentTraceId() ?? "";
    res.setHeader("trace-id", traceId);
    res.setHeader("x-request-id", requestId(req) ?? traceId);
    res.setHeader("cache-control", "no-store");
    answer(req, res).catch((error: unknown) => {
      fail(res, error, traceId, parts.log);
      // What is left of the body would otherwise be taken for the next request.
      if (!req.complete) req.resume();
    });
  };
}

/** Says to the handlers for whom the call is, which actingAs() says to the calls that they make. */
const identified: Interceptor = (next) => (req) => {
  req.contextValues.set(identityKey, currentCall().identity);
  return next(req);
};

const neverAborted = new AbortController().signal;
const jsonType = "application/json; charset=utf-8";

/** The path as it came, with nothing decoded, put in order or taken for a host's name. */
function targetOf(req: IncomingMessage): { pathname: string; searchParams: URLSearchParams } {
  const [pathname = "/", ...query] = (req.url ?? "/").split("?");
  return { pathname, searchParams: new URLSearchParams(query.join("?")) };
}

function matchOf(table: PathTable<PathRoutes>, pathname: string): PathMatch<PathRoutes> {
  let match: PathMatch<PathRoutes> | undefined;
  try {
    match = table.match(pathname);
  } catch (cause) {
    throw new Fault("invalid", "the path is not percent-encoded as UTF-8", { cause });
  }
  if (match) return match;
  throw new Fault("not-found", `there is nothing at ${pathname}`, { reason: "PATH_NOT_FOUND" });
}

function routeOf(routes: PathRoutes, req: IncomingMessage): RestRoute {
  const verb = req.method === "HEAD" ? "GET" : (req.method ?? "");
  const route = routes.get(verb);
  if (route) return route;
  throw notAllowed(verb, [...routes.keys()]);
}

function requireRead(req: IncomingMessage): void {
  if (req.method !== "GET" && req.method !== "HEAD") throw notAllowed(req.method ?? "", ["GET"]);
}

function notAllowed(verb: string, allowed: readonly string[]): Fault {
  const allow = allowed.join(", ");
  return new Fault("unimplemented", `${verb} is not served here, but ${allow}`, {
    reason: "METHOD_NOT_ALLOWED",
    metadata: { allow },
  });
}

function headersOf(req: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(req.headers))
    // Names with a colon are HTTP/2's own.
    if (typeof value === "string" && !name.startsWith(":")) headers.set(name, value);
  return headers;
}

/** What the caller calls its request, when that can be repeated in a header. */
function requestId(req: IncomingMessage): string | undefined {
  const id = req.headers["x-request-id"];
  return typeof id === "string" && /^[\w.:/+=-]{1,128}$/.test(id) ? id : undefined;
}

function fail(res: ServerResponse, error: unknown, traceId: string, log: Logger): void {
  if (!(error instanceof Fault)) log.error({ error }, "a request failed");
  if (res.headersSent || res.destroyed) return;
  const { status, headers, body } = errorReply(error, traceId);
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  send(res, status, jsonType, JSON.stringify(body));
}

function send(res: ServerResponse, status: number, type: string, text: string): void {
  const bytes = Buffer.from(text);
  res.writeHead(status, { "content-type": type, "content-length": bytes.byteLength });
  res.end(res.req.method === "HEAD" ? undefined : bytes);
}

async function* only<T>(message: T): AsyncIterable<T> {
  yield message;
}
