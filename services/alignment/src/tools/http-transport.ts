import type { IncomingMessage } from "node:http";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import type { HttpTool } from "@soldier/proto/config/v1/tool";
import { prepared } from "../domain/http-request.ts";
import type { Json } from "../domain/json.ts";
import type { ToolAnswer, ToolRequest } from "../pipeline/tool-transport.ts";
import type { Egress } from "./egress.ts";
import { attempt, type Prepared, retryAfterMs } from "./endpoint.ts";
import { bounded, guardedRequest } from "./guarded-request.ts";

export interface TransportOptions {
  readonly egress: Egress;
  readonly answerSizeMaxBytes: number;
  /** What tools refer to as ${name}. */
  readonly settings: Readonly<Record<string, string>>;
  readonly clock: Clock;
}

const redirectsMax = 3;

/** JSON over HTTP, checked for every request and every redirect. */
export function httpCall(
  { egress, answerSizeMaxBytes, settings, clock }: TransportOptions,
  tool: HttpTool,
  req: ToolRequest,
): Prepared {
  const request = prepared(tool, req.arguments, settings);
  if ("refused" in request) return { refused: `${request.refused}: ${request.because}` };
  const { url: target, headers, body } = request;
  const method = tool.method;
  return {
    host: target.host,
    onlyReads: method === "GET",
    call: (signal) => attempt(req.timeoutMs, signal, exchange),
  };

  async function exchange(until: AbortSignal, sent: () => void): Promise<ToolAnswer> {
    let url = target;
    let own = headers;
    for (let redirects = 0; ; redirects++) {
      const asked = {
        method,
        url,
        headers: {
          accept: "application/json",
          ...(body !== undefined && { "content-type": "application/json" }),
          ...own,
          ...(url.origin === target.origin && { "idempotency-key": req.key }),
        },
        body,
        isAlone: method !== "GET" && !req.tool.idempotent,
      };
      const res = await guardedRequest(egress, asked, until, sent);
      const status = res.statusCode ?? 0;
      const next = redirectOf(method, status, res.headers.location, url);
      if (!next) {
        if (status >= 200 && status < 300) return answerOf(status, await textOf(res));
        discard(res);
        return refusalOf(status, retryAfterMs(res.headers["retry-after"], clock.now()));
      }
      discard(res);
      if (redirects >= redirectsMax)
        throw new Fault("unavailable", "the tool redirects in circles", {
          reason: "TOOL_UNREACHABLE",
        });
      // Secrets are for the host that they were written for.
      if (next.origin !== url.origin) own = {};
      url = next;
    }
  }

  async function textOf(res: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of bounded(res, answerSizeMaxBytes)) chunks.push(chunk);
    return Buffer.concat(chunks).toString("utf8");
  }
}

/** Nobody reads it: a short body is let through so that its connection can be used again. */
export function discard(res: IncomingMessage): void {
  if (Number(res.headers["content-length"] ?? Infinity) <= discardMaxBytes) res.resume();
  else res.destroy();
}

const discardMaxBytes = 65_536;

function answerOf(status: number, text: string): ToolAnswer {
  if (status === 204) return { kind: "answered", result: {} };
  try {
    return { kind: "answered", result: JSON.parse(text) as Json }; // JSON.parse gives JSON
  } catch {
    return { kind: "unusable", reason: "the answer is no JSON" };
  }
}

const gatewayLostIt: readonly number[] = [408, 502, 504];

export function refusalOf(status: number, waitMs: number | undefined): ToolAnswer {
  return {
    kind: "failed",
    reason: `HTTP_${status}`,
    why:
      status >= 500 || status === 408 ? "down" : status === 425 || status === 429 ? "busy" : "no",
    isUncertain: gatewayLostIt.includes(status),
    retryAfterMs: waitMs,
  };
}

/** Where a GET goes on to; anything else is not repeated elsewhere on a server's word. */
function redirectOf(
  method: string,
  status: number,
  location: string | undefined,
  from: URL,
): URL | undefined {
  if (method !== "GET" || ![301, 302, 303, 307, 308].includes(status) || !location)
    return undefined;
  const url = URL.parse(location, from.href);
  if (!url || !/^https?:$/.test(url.protocol)) return undefined;
  // Whoever asked for secrecy is not led into the open.
  return from.protocol === "https:" && url.protocol === "http:" ? undefined : url;
}
