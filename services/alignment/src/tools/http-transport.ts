import {
  Agent as HttpAgent,
  type ClientRequest,
  type IncomingMessage,
  request as http,
} from "node:http";
import { Agent as HttpsAgent, request as https } from "node:https";
import type { LookupFunction } from "node:net";
import { throwIfCancelled } from "@soldier/ai/cancelled";
import { Fault } from "@soldier/kernel/fault";
import type { ToolRequest, ToolResponse, ToolTransport } from "../pipeline/tool-transport.ts";
import { type Address, admitted, type Resolve, systemResolve } from "./egress.ts";

export interface HttpTransportOptions {
  /** host:port of private addresses that tools may reach. */
  readonly allowedPrivateHosts: readonly string[];
  readonly answerSizeMaxBytes: number;
  readonly resolve?: Resolve;
}

const redirectsMax = 3;

/** Tools over HTTP, only to where they may go: checked for every request and every redirect. */
export function httpTransport(
  options: HttpTransportOptions,
  opened: AsyncDisposableStack,
): ToolTransport {
  const { answerSizeMaxBytes, resolve = systemResolve } = options;
  const allowed = new Set(options.allowedPrivateHosts);
  const agents = {
    http: new HttpAgent({ keepAlive: true }),
    https: new HttpsAgent({ keepAlive: true }),
  };
  opened.defer(() => {
    agents.http.destroy();
    agents.https.destroy();
  });

  return {
    async send(req, signal) {
      const timeout = AbortSignal.timeout(req.timeoutMs);
      const until = AbortSignal.any([signal, timeout]);
      try {
        let { url, headers } = req;
        for (let redirects = 0; ; redirects++) {
          const addresses = await untilAborted(admitted(url, allowed, resolve), until);
          const response = await exchange({ ...req, url, headers }, addresses, until);
          const next = redirectOf(req, response, url);
          if (!next) return { status: response.status, json: response.json };
          if (redirects >= redirectsMax)
            throw new Fault("unavailable", "the tool redirects in circles", {
              reason: "TOOL_UNREACHABLE",
            });
          // Secrets are for the host that they were written for.
          if (next.origin !== url.origin) headers = {};
          url = next;
        }
      } catch (error) {
        if (error instanceof Fault) throw error;
        throwIfCancelled(signal);
        if (timeout.aborted)
          throw new Fault("deadline", "the tool does not answer in time", {
            reason: "TOOL_TIMEOUT",
            cause: error,
          });
        throw new Fault("unavailable", "the tool can't be reached", {
          reason: "TOOL_UNREACHABLE",
          cause: error,
        });
      }
    },
  };

  function exchange(
    { method, url, headers, body }: ToolRequest,
    addresses: readonly Address[],
    signal: AbortSignal,
  ): Promise<ToolResponse & { location: string | undefined }> {
    return new Promise((resolve_, reject) => {
      const secure = url.protocol === "https:";
      const sent: ClientRequest = (secure ? https : http)(
        url,
        {
          method,
          headers: {
            accept: "application/json",
            ...(body !== undefined && {
              "content-type": "application/json",
              "content-length": Buffer.byteLength(body),
            }),
            ...headers,
          },
          agent: secure ? agents.https : agents.http,
          lookup: pinned(addresses),
          signal,
        },
        (res) => {
          read(res, answerSizeMaxBytes).then(
            (text) =>
              resolve_({
                status: res.statusCode ?? 0,
                json: parsed(text),
                location: res.headers.location,
              }),
            reject,
          );
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  }
}

/** Answers every look-up with the addresses that were admitted. */
function pinned(addresses: readonly Address[]): LookupFunction {
  return (_host, options, callback) => {
    const [first] = addresses;
    if (options.all) callback(null, [...addresses]);
    else if (first) callback(null, first.address, first.family);
    else callback(new Error("no address"), "", 4);
  };
}

async function read(res: IncomingMessage, sizeMaxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of res as AsyncIterable<Buffer>) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > sizeMaxBytes) {
      res.destroy();
      throw new Fault("exhausted", `the tool answers more than ${sizeMaxBytes} bytes`, {
        reason: "TOOL_ANSWER_TOO_LARGE",
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(text: string): ToolResponse["json"] {
  try {
    return JSON.parse(text) as ToolResponse["json"]; // JSON.parse gives JSON
  } catch {
    return undefined; // no JSON: whoever asked decides what that means
  }
}

/** Where a GET goes on to; anything else is not repeated elsewhere on a server's word. */
function redirectOf(
  { method }: ToolRequest,
  { status, location }: { status: number; location: string | undefined },
  from: URL,
): URL | undefined {
  if (method !== "GET" || ![301, 302, 303, 307, 308].includes(status) || !location)
    return undefined;
  const url = URL.parse(location, from.href);
  if (!url || !/^https?:$/.test(url.protocol)) return undefined;
  // Whoever asked for secrecy is not led into the open.
  return from.protocol === "https:" && url.protocol === "http:" ? undefined : url;
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve_, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    work.then(resolve_, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}
