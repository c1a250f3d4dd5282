import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { z } from "zod";
import type { CaseTool } from "./case-file.ts";
import { answerOf } from "./document-tools.ts";

/** One request that really reached a tool. */
export interface Called {
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** The trace that it belongs to, from the request's headers. */
  readonly traceId: string;
  /** The same for each attempt of one call. */
  readonly key: string;
  readonly status: number;
}

export interface ToolServer extends AsyncDisposable {
  /** host:port. */
  readonly host: string;
  /** Where a case's tools are, below which each has its name. */
  urlFor(caseKey: string): string;
  /** Answers for these tools from now on, and tells what they were asked. */
  serve(caseKey: string, tools: readonly CaseTool[], down: readonly string[]): readonly Called[];
}

const argsShape = z.record(z.string(), z.unknown());

interface Served {
  readonly tools: ReadonlyMap<string, CaseTool>;
  readonly down: readonly string[];
  readonly calls: Called[];
}

/** Every tool of every case, on one loopback port: /case/tool. */
export async function toolServer(): Promise<ToolServer> {
  const cases = new Map<string, Served>();

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const [caseKey = "", name = ""] = (req.url ?? "").slice(1).split("/").map(decodeURIComponent);
    const args = argsShape.catch({}).parse(await json(req).catch(() => ({})));
    const served = cases.get(caseKey);
    const tool = served?.tools.get(name);
    if (!served || !tool) return send(res, 404, { error: `no tool ${name}` });
    const earlier = served.calls.filter((call) => call.tool === name).length;
    const failing = served.down.includes(name) || earlier < (tool.fails?.times ?? 0);
    const status = failing ? (tool.fails?.status ?? 503) : 200;
    const traceId = String(req.headers["traceparent"] ?? "").split("-")[1] ?? "";
    const key = String(req.headers["idempotency-key"] ?? "");
    served.calls.push({ tool: name, args, traceId, key, status });
    return send(res, status, failing ? { error: "out of order" } : answerOf(tool));
  }

  const server = createServer((req, res) => {
    answer(req, res).catch((error: unknown) => send(res, 500, { error: String(error) }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // what a server that listens on TCP has
  const host = `127.0.0.1:${port}`;
  return {
    host,
    urlFor: (caseKey) => `http://${host}/${encodeURIComponent(caseKey)}`,
    serve(caseKey, tools, down) {
      const served = { tools: new Map(tools.map((tool) => [tool.name, tool])), down, calls: [] };
      cases.set(caseKey, served);
      return served.calls;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function send(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
