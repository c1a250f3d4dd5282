import type { Tool } from "@soldier/proto/config/v1/tool";
import type { Json, JsonRecord } from "../domain/json.ts";

/** One attempt of a tool outside the engine: http, rpc or mcp. */
export interface ToolRequest {
  readonly tenantId: string;
  readonly tool: Tool;
  readonly arguments: JsonRecord;
  /** Sent along, so that a server can tell a repetition. */
  readonly key: string;
  readonly timeoutMs: number;
}

/** What came of an attempt. Reasons are stable and UPPER_SNAKE_CASE, with a sentence after a colon where one helps. */
export type ToolAnswer =
  | { readonly kind: "answered"; readonly result: Json }
  /** It was done, but what it answers can't be used: no JSON, too large. */
  | { readonly kind: "unusable"; readonly reason: string }
  /** Nothing was sent: EGRESS_REFUSED, CIRCUIT_OPEN, TOOL_SETTING_MISSING … */
  | { readonly kind: "refused"; readonly reason: string }
  | {
      readonly kind: "failed";
      readonly reason: string;
      /** The endpoint is in trouble, asks for patience, or says no. Only the last is final. */
      readonly why: "down" | "busy" | "no";
      /** It may have been done all the same. */
      readonly isUncertain: boolean;
      readonly retryAfterMs?: number | undefined;
    };

/** Carries tool calls out of the engine, to where they are allowed to go. */
export interface ToolTransport {
  /** Throws only what the signal aborts with; everything else is an answer. */
  call(req: ToolRequest, signal: AbortSignal): Promise<ToolAnswer>;
  /**
   * Whether the call changes nothing: a GET, a method without side effects, a tool with readOnlyHint. May
   * ask the tool's server; false when nobody knows.
   */
  onlyReads(req: ToolRequest, signal: AbortSignal): Promise<boolean>;
}
