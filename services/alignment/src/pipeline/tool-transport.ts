import type { Json } from "../domain/json.ts";

export interface ToolRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text; undefined for none. */
  readonly body: string | undefined;
  readonly timeoutMs: number;
}

export interface ToolResponse {
  readonly status: number;
  /** Undefined when the answer was no JSON. */
  readonly json: Json | undefined;
}

/** Carries a tool's request out of the engine, to where it is allowed to go. */
export interface ToolTransport {
  /**
   * Any HTTP status is an answer. Otherwise a Fault: "forbidden" when nothing was sent because it may not
   * (EGRESS_REFUSED); else TOOL_TIMEOUT, TOOL_UNREACHABLE, TOOL_ANSWER_TOO_LARGE.
   */
  send(req: ToolRequest, signal: AbortSignal): Promise<ToolResponse>;
}
