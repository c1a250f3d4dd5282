import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { JsonObject } from "@bufbuild/protobuf";
import { NodeStreamableHTTPServerTransport, toNodeHandler } from "@modelcontextprotocol/node";
import { type CallToolResult, createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { newId } from "@soldier/kernel/ids";
import { z } from "zod";
import { type Asked, type Endpoint, listening } from "./testing-endpoint.ts";

export type McpWork = (asked: Asked) => Promise<CallToolResult>;

export interface McpEndpoint extends Endpoint {
  /** How many clients have begun a session; the newer protocol has none. */
  sessions(): number;
  /** Forgets all sessions, as a restart does. */
  forget(): void;
}

/** A server by the official library, of either generation of the protocol. */
export async function mcpEndpoint(
  work: McpWork,
  generation: "2025" | "2026" = "2026",
): Promise<McpEndpoint> {
  const asked: Asked[] = [];
  const sessions = new Map<string, NodeStreamableHTTPServerTransport>();
  let begun = 0;

  const made = () => {
    const server = new McpServer({ name: "shop", version: "1" });
    for (const [name, readOnlyHint] of [
      ["find_order", true],
      ["cancel_order", false],
    ] as const)
      server.registerTool(
        name,
        { inputSchema: z.object({ order_id: z.string() }), annotations: { readOnlyHint } },
        async (values: JsonObject, { mcpReq, http }) => {
          const one = {
            method: name,
            arguments: values,
            key: String(mcpReq._meta?.["soldier/idempotency-key"]),
            authorization: http?.req?.headers.get("authorization") ?? undefined,
          };
          asked.push(one);
          return work(one);
        },
      );
    return server;
  };

  async function sessionful(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const id = req.headers["mcp-session-id"];
    const known = typeof id === "string" ? sessions.get(id) : undefined;
    if (known) return known.handleRequest(req, res);
    if (id !== undefined) return void res.writeHead(404).end();
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: newId,
      onsessioninitialized: (sessionId) => {
        begun += 1;
        sessions.set(sessionId, transport);
      },
    });
    await made().connect(transport);
    await transport.handleRequest(req, res);
  }

  const handler = toNodeHandler(createMcpHandler(made));
  const server = createServer((req, res) => {
    // Node's own request, whose optional parts may be undefined where the library says absent.
    void (generation === "2026"
      ? handler(req as Parameters<typeof handler>[0], res)
      : sessionful(req, res));
  });
  return {
    asked,
    sessions: () => begun,
    forget: () => sessions.clear(),
    ...(await listening(server)),
  };
}
