import { connect as connectTcp, isIP, type LookupFunction } from "node:net";
import { connect as connectTls } from "node:tls";
import { createRegistry, fromJson, toJson } from "@bufbuild/protobuf";
import type { DescMethodUnary, JsonValue, Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import type { RpcTool } from "@soldier/proto/config/v1/tool";
import { LRUCache } from "lru-cache";
import { addressOf } from "../domain/http-request.ts";
import type { ToolAnswer, ToolRequest } from "../pipeline/tool-transport.ts";
import { untilAborted } from "./egress.ts";
import { answerTooLarge, attempt, type Prepared, retryAfterMs } from "./endpoint.ts";
import type { TransportOptions } from "./http-transport.ts";
import { rpcMethods } from "./rpc-methods.ts";

const connectionsMax = 500;
const connectionIdleMs = 60_000;

interface Connection {
  readonly manager: Http2SessionManager;
  /** Answers with the addresses that were admitted last. */
  lookup: LookupFunction;
}

/** Unary methods by gRPC or Connect, with arguments and answers in protobuf's JSON. */
export function rpcCalls(options: TransportOptions, opened: AsyncDisposableStack) {
  const { egress, answerSizeMaxBytes, settings, clock } = options;
  const methods = rpcMethods();
  const connections = new LRUCache<string, Connection>({
    max: connectionsMax,
    dispose: ({ manager }) => manager.abort(),
  });
  opened.defer(() => connections.clear());

  return (tool: RpcTool, req: ToolRequest): Prepared => {
    const address = addressOf(tool.address, tool.headers, settings);
    if ("refused" in address) return { refused: `${address.refused}: ${address.because}` };
    const { url, headers } = address;
    const described = (until: AbortSignal) =>
      methods.find(tool, url.origin, (signal) => grpc(url, signal), until);
    return {
      host: url.host,

      onlyReads: (signal) =>
        attempt(req.timeoutMs, signal, async (until) => {
          const method = await described(until);
          if ("refused" in method) return { kind: "refused", reason: method.refused };
          const result = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
          return { kind: "answered", result };
        }),

      call: (signal) =>
        attempt(req.timeoutMs, signal, async (until, sent) => {
          const method = await described(until);
          if ("refused" in method) return { kind: "refused", reason: method.refused };
          const input = inputOf(method, req.arguments);
          if (!input) {
            const reason = `TOOL_ARGUMENTS_UNFIT: they make no ${method.input.typeName}`;
            return { kind: "refused", reason };
          }
          const transport = tool.connect
            ? await connect(url, until, !req.tool.idempotent)
            : await grpc(url, until);
          const metadata = new Headers(headers);
          metadata.set("idempotency-key", req.key);
          sent();
          try {
            const { message } = await transport.unary(method, until, undefined, metadata, input);
            return { kind: "answered", result: outputOf(method, message) };
          } catch (error) {
            return answerTo(ConnectError.from(error), until, clock.now());
          }
        }),
    };
  };

  async function connect(url: URL, until: AbortSignal, isAlone: boolean): Promise<Transport> {
    const lookup = await egress.lookup(url, until);
    const kept = url.protocol === "https:" ? egress.agents["https:"] : egress.agents["http:"];
    const agent = isAlone ? false : kept;
    return createConnectTransport({
      baseUrl: url.href,
      httpVersion: "1.1",
      nodeOptions: { agent, lookup },
      readMaxBytes: answerSizeMaxBytes,
    });
  }

  /** Connected: what fails from here on may have been sent. */
  async function grpc(url: URL, until: AbortSignal): Promise<Transport> {
    const lookup = await egress.lookup(url, until);
    const connection = connections.get(url.origin) ?? connectionTo(url, lookup);
    connection.lookup = lookup;
    connections.set(url.origin, connection);
    const { manager } = connection;
    const state = await untilAborted(manager.connect(), until);
    if (state === "error") throw manager.error();
    return createGrpcTransport({
      baseUrl: url.href,
      sessionManager: manager,
      readMaxBytes: answerSizeMaxBytes,
    });
  }
}

function connectionTo(url: URL, first: LookupFunction): Connection {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const secure = url.protocol === "https:";
  const port = Number(url.port || (secure ? 443 : 80));
  const connection: Connection = {
    lookup: first,
    manager: new Http2SessionManager(
      url.origin,
      { idleConnectionTimeoutMs: connectionIdleMs },
      {
        createConnection: () =>
          secure
            ? connectTls({
                host,
                port,
                ...(isIP(host) === 0 && { servername: host }),
                ALPNProtocols: ["h2"],
                lookup: connection.lookup,
              })
            : connectTcp({ host, port, lookup: connection.lookup }),
      },
    ),
  };
  return connection;
}

function inputOf(method: DescMethodUnary, values: JsonValue): Message | undefined {
  try {
    return fromJson(method.input, values, { registry: createRegistry(method.parent.file) });
  } catch {
    return undefined; // its message would show the values
  }
}

/** With the fields that are at their zero: a schema may ask for them. */
function outputOf(method: DescMethodUnary, message: Message): JsonValue {
  const registry = createRegistry(method.parent.file);
  return toJson(method.output, message, { registry, alwaysEmitImplicit: true });
}

const down: readonly Code[] = [
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Internal,
  Code.Unknown,
  Code.DataLoss,
  Code.Canceled,
];
const busy: readonly Code[] = [Code.ResourceExhausted, Code.Aborted];
/** Said by whoever has lost sight of the call as often as by the method itself. */
const uncertain: readonly Code[] = [Code.Unavailable, Code.DeadlineExceeded, Code.Canceled];

function answerTo(error: ConnectError, until: AbortSignal, now: Date): ToolAnswer {
  const { code } = error;
  // The library's own refusal to read on, told from the server's by its words alone.
  if (code === Code.ResourceExhausted && error.rawMessage.includes("readMaxBytes"))
    return { kind: "unusable", reason: answerTooLarge };
  if (until.aborted || error.cause !== undefined) throw error;
  const name = Code[code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return {
    kind: "failed",
    reason: `RPC_${name}`,
    why: down.includes(code) ? "down" : busy.includes(code) ? "busy" : "no",
    isUncertain: uncertain.includes(code),
    retryAfterMs: retryAfterMs(error.metadata.get("retry-after"), now),
  };
}
