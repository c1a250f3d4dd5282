import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Fault } from "@soldier/kernel/fault";
import {
  type ToolCallRecord,
  ToolCallOutcome,
  ToolCallRecordSchema,
} from "@soldier/proto/audit/v1/turn_record";
import type { HttpTool, Tool } from "@soldier/proto/config/v1/tool";
import { prepared } from "../domain/http-request.ts";
import { isRecord, type Json, type JsonRecord, valueOf } from "../domain/json.ts";
import { reasonOf, type ToolArguments } from "../domain/tool-arguments.ts";
import { schemaProblem } from "../domain/tool-schema.ts";
import { builtin, type BuiltinEffect } from "./builtin-tools.ts";
import type { ToolMeans } from "./means.ts";

export interface ToolCall {
  readonly tool: Tool;
  /** E.g. "rule:track-order", "step:look-up", "variable:plan". */
  readonly requestedBy: string;
  readonly key: string;
  readonly given: ToolArguments;
  /** Why it may not run whatever it is. */
  readonly refusal: string | undefined;
  /** Fields whose values stay out of the record. */
  readonly isPrivate: (name: string) => boolean;
}

export interface ToolRun {
  readonly tool: Tool;
  readonly record: ToolCallRecord;
  readonly result: Json | undefined;
  /** Arguments to ask the customer for. */
  readonly asksFor: readonly string[];
  readonly effect: BuiltinEffect | undefined;
}

/** Runs one tool once, or says why not; a tool that fails never fails the turn. */
export async function runTool(
  call: ToolCall,
  means: ToolMeans,
  signal: AbortSignal,
): Promise<ToolRun> {
  const startedMs = performance.now();
  const { tool, given } = call;
  const done = call.refusal ? refused(call.refusal) : await carriedOut(call, given, means, signal);
  const hidden = (values: JsonRecord) => withoutPrivate(values, call.isPrivate);
  return {
    tool,
    result: done.outcome === ToolCallOutcome.SUCCEEDED ? done.result : undefined,
    asksFor: call.refusal
      ? []
      : [...given.missing, ...given.invalid.keys()].filter((name) => name !== ""),
    effect: done.effect,
    record: create(ToolCallRecordSchema, {
      toolId: tool.id,
      name: tool.name,
      requestedBy: call.requestedBy,
      idempotencyKey: call.key,
      outcome: done.outcome,
      attempts: done.attempts,
      durationMs: performance.now() - startedMs,
      reason: done.reason || reasonOf(given),
      missingArguments: call.refusal ? [] : [...given.missing],
      arguments: hidden(given.values),
      ...(done.result !== undefined &&
        isShort(done.result) && {
          result: valueOf(isRecord(done.result) ? hidden(done.result) : done.result),
        }),
    }),
  };
}

interface Done {
  readonly outcome: ToolCallOutcome;
  readonly reason: string;
  readonly attempts: number;
  readonly result?: Json | undefined;
  readonly effect?: BuiltinEffect | undefined;
}

async function carriedOut(
  call: ToolCall,
  given: ToolArguments,
  means: ToolMeans,
  signal: AbortSignal,
): Promise<Done> {
  const { tool } = call;
  const { values, missing, invalid } = given;
  const reason = reasonOf(given);
  if (missing.length > 0)
    return { outcome: ToolCallOutcome.MISSING_ARGUMENTS, reason, attempts: 0 };
  if (invalid.size > 0) return { outcome: ToolCallOutcome.INVALID_ARGUMENTS, reason, attempts: 0 };
  switch (tool.kind.case) {
    case "http":
      return answered(call, tool.kind.value, values, means, signal);
    case "builtin": {
      const effect = builtin(tool.kind.value.name, values);
      if (!effect) return refused(`TOOL_UNKNOWN_BUILTIN: ${tool.kind.value.name}`);
      const result = { ok: true };
      return { outcome: ToolCallOutcome.SUCCEEDED, reason: "", attempts: 1, result, effect };
    }
    case "rpc":
    case "mcp":
    case undefined:
      return refused("TOOL_KIND_UNSUPPORTED");
  }
}

async function answered(
  call: ToolCall,
  http: HttpTool,
  values: JsonRecord,
  means: ToolMeans,
  signal: AbortSignal,
): Promise<Done> {
  const { tool } = call;
  const request = prepared(http, values, means.settings);
  if ("refused" in request) return refused(`${request.refused}: ${request.because}`);
  const { url, headers, body } = request;
  const timeoutMs = milliseconds(tool.timeout) ?? means.timeoutMs;
  const attemptsMax = 1 + (tool.idempotent ? tool.retriesMax : 0);
  for (let attempt = 1; ; attempt++) {
    const tried = await once();
    if (!("again" in tried) || attempt >= attemptsMax || signal.aborted)
      return { ...tried.done, attempts: attempt };
    // Wakes up early when the turn's time is over; the next attempt then fails at once.
    await pause(backoffMs(attempt), undefined, { signal }).catch(() => undefined);
  }

  async function once(): Promise<{ done: Done; again?: true }> {
    try {
      const response = await means.transport.send(
        {
          method: http.method,
          url,
          headers: { ...headers, "idempotency-key": call.key },
          body,
          timeoutMs,
        },
        signal,
      );
      return judgedResponse(tool, response.status, response.json);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (error.kind === "forbidden") return { done: refused(error.reason) };
      return { done: failed(error.reason), again: true };
    }
  }
}

function judgedResponse(
  tool: Tool,
  status: number,
  json: Json | undefined,
): { done: Done; again?: true } {
  if (status >= 500 || status === 429) return { done: failed(`HTTP_${status}`), again: true };
  if (status < 200 || status >= 300) return { done: failed(`HTTP_${status}`) };
  const result = json ?? (status === 204 ? {} : undefined);
  const problem =
    result === undefined
      ? "the answer is no JSON"
      : tool.outputSchema && Object.keys(tool.outputSchema).length > 0
        ? schemaProblem(tool.outputSchema, result)
        : undefined;
  if (problem === undefined)
    return { done: { outcome: ToolCallOutcome.SUCCEEDED, reason: "", attempts: 1, result } };
  return {
    done: { outcome: ToolCallOutcome.INVALID_RESULT, reason: problem, attempts: 1, result },
  };
}

function refused(reason: string): Done {
  return { outcome: ToolCallOutcome.REFUSED, reason, attempts: 0 };
}

function failed(reason: string): Done {
  return { outcome: ToolCallOutcome.FAILED, reason, attempts: 1 };
}

function backoffMs(attempt: number): number {
  return Math.min(1_000, 50 * 2 ** attempt) * (0.5 + Math.random() / 2);
}

function milliseconds(
  duration: { readonly seconds: bigint; readonly nanos: number } | undefined,
): number | undefined {
  return duration && Number(duration.seconds) * 1_000 + duration.nanos / 1e6;
}

function withoutPrivate(values: JsonRecord, isPrivate: (name: string) => boolean): JsonRecord {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, isPrivate(name) ? "[redacted]" : value]),
  );
}

const recordedResultMax = 4_096;

function isShort(result: Json): boolean {
  return JSON.stringify(result).length <= recordedResultMax;
}
