import type { IncomingMessage, ServerResponse } from "node:http";

/** Lets pages of other origins call, when they are on the list. */
export interface Cors {
  /** Adds what a browser wants to read; returns whether the request only asked for that. */
  answered(req: IncomingMessage, res: ServerResponse): boolean;
}

const allowHeaders =
  "authorization, content-type, idempotency-key, traceparent, x-request-id, connect-protocol-version, connect-timeout-ms";
const exposeHeaders = "trace-id, x-request-id, retry-after, www-authenticate";

/** No cookies are involved, so a list of origins is all there is to decide. */
export function cors(allowedOrigins: readonly string[]): Cors {
  const allowed = new Set(allowedOrigins);
  return {
    answered(req, res) {
      const origin = req.headers.origin;
      if (origin === undefined || allowed.size === 0) return false;
      res.setHeader("vary", "Origin");
      if (!allowed.has("*") && !allowed.has(origin)) return false;
      res.setHeader("access-control-allow-origin", allowed.has("*") ? "*" : origin);
      res.setHeader("access-control-expose-headers", exposeHeaders);
      const asked = req.headers["access-control-request-method"];
      if (req.method !== "OPTIONS" || asked === undefined) return false;
      res.writeHead(204, {
        "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": allowHeaders,
        "access-control-max-age": "600",
      });
      res.end();
      return true;
    },
  };
}
