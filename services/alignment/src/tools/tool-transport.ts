import type { Log } from "@soldier/kernel/log";
import type { ToolAnswer, ToolRequest, ToolTransport } from "../pipeline/tool-transport.ts";
import { CircuitBreaker, type Health } from "./circuit-breaker.ts";
import type { Prepared } from "./endpoint.ts";
import { httpCall, type TransportOptions } from "./http-transport.ts";
import { mcpCalls } from "./mcp-transport.ts";
import { rpcCalls } from "./rpc-transport.ts";

export interface ToolTransportOptions extends TransportOptions {
  /** Failures in a row after which a tenant's calls spare an endpoint. */
  readonly breakerFailures: number;
  readonly breakerOpenMs: number;
  readonly log: Log;
}

/** Every kind of tool that is outside, behind one circuit breaker for each tenant and host. */
export function toolTransport(
  options: ToolTransportOptions,
  opened: AsyncDisposableStack,
): ToolTransport {
  const { breakerFailures, breakerOpenMs, clock, log } = options;
  const breaker = new CircuitBreaker({
    failuresMax: breakerFailures,
    openMs: breakerOpenMs,
    clock,
    opened: (endpoint) => log.warn({ endpoint }, "a tool's endpoint fails and is given a rest"),
  });
  const rpc = rpcCalls(options, opened);
  const mcp = mcpCalls(options, opened);

  return {
    async call(req, signal) {
      const prepared = prepare(req);
      if ("refused" in prepared) return { kind: "refused", reason: prepared.refused };
      return guarded(`${req.tenantId} ${prepared.host}`, () => prepared.call(signal), healthIn);
    },
    async onlyReads(req, signal) {
      const prepared = prepare(req);
      if ("refused" in prepared) return false;
      const { host, onlyReads } = prepared;
      if (typeof onlyReads === "boolean") return onlyReads;
      const answer = await guarded(
        `${req.tenantId} ${host}`,
        () => onlyReads(signal),
        // What was remembered says nothing of how the endpoint is now.
        (given) => (healthIn(given) === "ill" ? "ill" : "nothing"),
      );
      return answer.kind === "answered" && answer.result === true;
    },
  };

  async function guarded(
    endpoint: string,
    work: () => Promise<ToolAnswer>,
    healthOf: (answer: ToolAnswer) => Health,
  ): Promise<ToolAnswer> {
    const done = breaker.enter(endpoint);
    if (!done) return { kind: "refused", reason: "CIRCUIT_OPEN" };
    let health: Health = "nothing";
    try {
      const answer = await work();
      health = healthOf(answer);
      return answer;
    } finally {
      done(health);
    }
  }

  function prepare(req: ToolRequest): Prepared {
    const { kind } = req.tool;
    switch (kind.case) {
      case "http":
        return httpCall(options, kind.value, req);
      case "rpc":
        return rpc(kind.value, req);
      case "mcp":
        return mcp(kind.value, req);
      case "builtin":
      case undefined:
        return { refused: "TOOL_KIND_UNSUPPORTED" };
    }
  }
}

function healthIn(answer: ToolAnswer): Health {
  switch (answer.kind) {
    case "answered":
    case "unusable":
      return "well";
    case "refused":
      return "nothing";
    case "failed":
      return answer.why === "down" ? "ill" : "well";
  }
}
