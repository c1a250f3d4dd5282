import { AsyncLocalStorage } from "node:async_hooks";
import {
  Client,
  type FetchLike,
  StreamableHTTPClientTransport,
  type Tool,
} from "@modelcontextprotocol/client";
import type { Clock } from "@soldier/kernel/clock";
import { timeoutSignal } from "@soldier/kernel/timeout-signal";
import { LRUCache } from "lru-cache";
import { untilAborted } from "./egress.ts";
import { retryAfterMs } from "./endpoint.ts";
import { bounded, guardedRequest } from "./guarded-request.ts";
import type { TransportOptions } from "./http-transport.ts";

const sessionsMax = 500;
const sessionLifeMs = 10 * 60_000;
/** Lists of tools are longer than answers. */
const listSizeMaxBytes = 4 * 1024 * 1024;

export interface McpSession {
  readonly client: Client;
  readonly tools: ReadonlyMap<string, Tool>;
}

/** What the library does not hand through of one exchange. */
export class Exchange {
  readonly sizeMaxBytes: number;
  /** As of a guarded request. */
  readonly isAlone: boolean;
  private readonly cutting = new AbortController();
  private readonly sent: () => void;
  retryAfterMs: number | undefined;

  constructor(sizeMaxBytes: number, sent: () => void, isAlone = false) {
    this.sizeMaxBytes = sizeMaxBytes;
    this.isAlone = isAlone;
    this.sent = sent;
  }

  /** Aborts with what broke the exchange on the wire. */
  get signal(): AbortSignal {
    return this.cutting.signal;
  }

  left(): void {
    this.sent();
  }

  cut(error: unknown): void {
    this.cutting.abort(error);
  }
}

/** Connected clients, one for each tenant, address and set of headers. */
export function mcpSessions(options: TransportOptions, opened: AsyncDisposableStack) {
  const exchanges = new AsyncLocalStorage<Exchange>();
  const fetch = guardedFetch(options, exchanges, options.clock);
  const sessions = new LRUCache<string, Promise<McpSession>>({
    max: sessionsMax,
    ttl: sessionLifeMs,
    dispose: (session) => void session.then(({ client }) => client.close()).catch(() => {}), // over
  });
  opened.defer(() => sessions.clear());

  return {
    has: (key: string) => sessions.has(key),
    drop: (key: string) => sessions.delete(key),

    /** Of many at once one connects, for all; what failed is tried again by the next. */
    async get(
      key: string,
      { url, headers }: { readonly url: URL; readonly headers: Readonly<Record<string, string>> },
      timeoutMs: number,
      until: AbortSignal,
    ): Promise<McpSession> {
      const known = sessions.get(key);
      if (known) return untilAborted(known, until);
      const exchange = new Exchange(listSizeMaxBytes, () => {});
      const connecting = within(exchange, timeoutSignal(timeoutMs), async (signal) => {
        const client = new Client(
          { name: "soldier", version: "1" },
          {
            versionNegotiation: { mode: "auto", probe: { timeoutMs } },
            inputRequired: { autoFulfill: false },
          },
        );
        const transport = new StreamableHTTPClientTransport(url, {
          fetch,
          requestInit: { headers },
          reconnectionOptions: {
            maxRetries: 0,
            initialReconnectionDelay: 0,
            maxReconnectionDelay: 0,
            reconnectionDelayGrowFactor: 1,
          },
        });
        await client.connect(transport, { signal, timeout: timeoutMs });
        const { tools } = await client.listTools(undefined, { signal, timeout: timeoutMs });
        return { client, tools: new Map(tools.map((tool) => [tool.name, tool])) };
      });
      sessions.set(key, connecting);
      connecting.catch(() => {
        if (sessions.peek(key) === connecting) sessions.delete(key);
      });
      return untilAborted(connecting, until);
    },

    within,
  };

  /** Runs an exchange; when it breaks on the wire, that is its error, and at once. */
  async function within<T>(
    exchange: Exchange,
    until: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const signal = AbortSignal.any([until, exchange.signal]);
    try {
      return await untilAborted(
        exchanges.run(exchange, () => work(signal)),
        signal,
      );
    } catch (error) {
      throw exchange.signal.aborted ? exchange.signal.reason : error;
    }
  }
}

/** The library's way out: ours. Streams that a server would begin are not wanted. */
function guardedFetch(
  { egress }: TransportOptions,
  exchanges: AsyncLocalStorage<Exchange>,
  clock: Clock,
): FetchLike {
  return async (input, init = {}) => {
    const method = init.method ?? "GET";
    if (method === "GET") return new Response(null, { status: 405 });
    const exchange = exchanges.getStore() ?? new Exchange(listSizeMaxBytes, () => {});
    const url = new URL(input);
    const body = typeof init.body === "string" ? init.body : undefined;
    const headers = Object.fromEntries(new Headers(init.headers));
    try {
      const signal = init.signal ?? exchange.signal;
      const asked = { method, url, headers, body, isAlone: exchange.isAlone };
      const res = await guardedRequest(egress, asked, signal, () => exchange.left());
      exchange.retryAfterMs = retryAfterMs(res.headers["retry-after"], clock.now());
      const status = res.statusCode ?? 0;
      const empty = status === 204 || status === 205 || status === 304;
      if (empty) res.resume();
      return new Response(empty ? null : ReadableStream.from(pieces(res, exchange)), {
        status,
        headers: headersOf(res.headersDistinct),
      });
    } catch (error) {
      exchange.cut(error);
      throw error;
    }
  };
}

async function* pieces(res: Parameters<typeof bounded>[0], exchange: Exchange) {
  try {
    yield* bounded(res, exchange.sizeMaxBytes);
  } catch (error) {
    exchange.cut(error);
    throw error;
  }
}

function headersOf(all: NodeJS.Dict<string[]>): Headers {
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(all))
    for (const value of values) headers.append(name, value);
  return headers;
}
