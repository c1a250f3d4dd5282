import {
  type CallToolResult,
  ProtocolError,
  SdkError,
  SdkErrorCode,
  SdkHttpError,
} from "@modelcontextprotocol/client";
import type { McpTool } from "@soldier/proto/config/v1/tool";
import { addressOf } from "../domain/http-request.ts";
import type { Json } from "../domain/json.ts";
import type { ToolAnswer, ToolRequest } from "../pipeline/tool-transport.ts";
import { attempt, type Prepared } from "./endpoint.ts";
import { refusalOf, type TransportOptions } from "./http-transport.ts";
import { Exchange, mcpSessions } from "./mcp-sessions.ts";

/** Where a call's key stands, in the protocol's room for such things. */
const keyName = "soldier/idempotency-key";

/** Tools of servers of the Model Context Protocol, over streamable HTTP. */
export function mcpCalls(options: TransportOptions, opened: AsyncDisposableStack) {
  const { answerSizeMaxBytes, settings } = options;
  const sessions = mcpSessions(options, opened);

  return (tool: McpTool, req: ToolRequest): Prepared => {
    const address = addressOf(tool.url, tool.headers, settings);
    if ("refused" in address) return { refused: `${address.refused}: ${address.because}` };
    const { url, headers } = address;
    // One tenant's session is nobody else's.
    const key = JSON.stringify([req.tenantId, url.href, headers]);
    const session = (until: AbortSignal) => sessions.get(key, address, req.timeoutMs, until);

    return {
      host: url.host,

      onlyReads: (signal) =>
        attempt(req.timeoutMs, signal, async (until) => {
          const { tools } = await session(until);
          const result = tools.get(tool.tool)?.annotations?.readOnlyHint === true;
          return { kind: "answered", result };
        }),

      call: (signal) =>
        attempt(req.timeoutMs, signal, async (until, sent) => {
          const isOld = sessions.has(key);
          const answer = await once(until, sent);
          // The server has forgotten the session, and done nothing, or has other tools by now.
          if (answer !== "stale") return answer;
          sessions.drop(key);
          const again = isOld ? await once(until, sent) : answer;
          return again === "stale" ? unknownTool() : again;
        }),
    };

    async function once(until: AbortSignal, sent: () => void): Promise<ToolAnswer | "stale"> {
      const { client, tools } = await session(until);
      const known = tools.get(tool.tool);
      if (!known) return "stale";
      const isAlone = !req.tool.idempotent && known.annotations?.readOnlyHint !== true;
      const exchange = new Exchange(answerSizeMaxBytes, sent, isAlone);
      try {
        const result = await sessions.within(exchange, until, (signal) =>
          client.callTool(
            { name: tool.tool, arguments: req.arguments, _meta: { [keyName]: req.key } },
            {
              signal,
              requestSignal: signal,
              // Our own time is up first.
              timeout: req.timeoutMs + 1_000,
              // An answer that came at last is still on its way through the library.
              onRequestStreamEnd: () =>
                void setImmediate(() => exchange.cut(new Error("the stream ended"))),
            },
          ),
        );
        return answerIn(result);
      } catch (error) {
        if (error instanceof SdkHttpError && error.status === 404) return "stale";
        return failureIn(error, exchange);
      }
    }

    function unknownTool(): ToolAnswer {
      return { kind: "refused", reason: `TOOL_METHOD_UNKNOWN: its server has no ${tool.tool}` };
    }
  };
}

function answerIn({ isError, structuredContent, content }: CallToolResult): ToolAnswer {
  if (isError === true)
    return { kind: "failed", reason: "MCP_TOOL_ERROR", why: "no", isUncertain: false };
  if (structuredContent !== undefined)
    return { kind: "answered", result: structuredContent as Json }; // it came as JSON
  const texts = content.flatMap((part) => (part.type === "text" ? [part.text] : []));
  if (texts.length === 0) return { kind: "unusable", reason: "the answer has no text" };
  const text = texts.join("\n");
  try {
    return { kind: "answered", result: JSON.parse(text) as Json }; // JSON.parse gives JSON
  } catch {
    return { kind: "answered", result: text };
  }
}

function failureIn(error: unknown, { signal, retryAfterMs }: Exchange): ToolAnswer {
  if (signal.aborted) throw error;
  if (error instanceof SdkHttpError) return refusalOf(error.status, retryAfterMs);
  if (error instanceof ProtocolError) {
    const why = error.code === internalError ? "down" : "no";
    return { kind: "failed", reason: `MCP_ERROR_${error.code}`, why, isUncertain: false };
  }
  if (error instanceof SdkError && error.code === SdkErrorCode.InvalidResult)
    return { kind: "unusable", reason: "the answer breaks the server's own schema" };
  if (error instanceof SdkError && error.code === SdkErrorCode.UnsupportedResultType)
    return { kind: "failed", reason: "MCP_INPUT_REQUIRED", why: "no", isUncertain: false };
  throw error;
}

/** Of JSON-RPC. */
const internalError = -32603;
