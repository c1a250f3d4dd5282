import { create } from "@bufbuild/protobuf";
import {
  type ToolCallRecord,
  ToolCallOutcome,
  ToolCallRecordSchema,
} from "@soldier/proto/audit/v1/turn_record";
import type { Tool } from "@soldier/proto/config/v1/tool";
import { isRecord, type Json, type JsonRecord, valueOf } from "../domain/json.ts";
import { reasonOf, type ToolArguments } from "../domain/tool-arguments.ts";
import { builtin, type BuiltinEffect } from "./builtin-tools.ts";
import type { ToolMeans } from "./means.ts";
import type { ToolLedger } from "./tool-ledger.ts";
import { calledOutside, type ToolEnd } from "./tool-outside.ts";

export interface ToolCall {
  readonly tenantId: string;
  /** Asked before the tool has an effect. */
  readonly ledger: ToolLedger;
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
    result: hasResult(done) ? done.result : undefined,
    asksFor: call.refusal
      ? []
      : [...given.missing, ...given.invalid.keys()].filter((name) => name !== ""),
    effect: done.effect,
    record: create(ToolCallRecordSchema, {
      toolId: tool.id,
      name: tool.name,
      requestedBy: call.requestedBy,
      idempotencyKey: done.key ?? call.key,
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

interface Done extends ToolEnd {
  readonly effect?: BuiltinEffect | undefined;
}

function hasResult({ outcome }: Done): boolean {
  return outcome === ToolCallOutcome.SUCCEEDED || outcome === ToolCallOutcome.REPLAYED;
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
    case "builtin": {
      const effect = builtin(tool.kind.value.name, values);
      if (!effect) return refused(`TOOL_UNKNOWN_BUILTIN: ${tool.kind.value.name}`);
      const result = { ok: true };
      return { outcome: ToolCallOutcome.SUCCEEDED, reason: "", attempts: 1, result, effect };
    }
    case "http":
    case "rpc":
    case "mcp": {
      const { tenantId, key } = call;
      const timeoutMs = milliseconds(tool.timeout) ?? means.timeoutMs;
      const request = { tenantId, tool, arguments: values, key, timeoutMs };
      return calledOutside(request, means.transport, call.ledger, signal);
    }
    case undefined:
      return refused("TOOL_KIND_UNSUPPORTED");
  }
}

function refused(reason: string): Done {
  return { outcome: ToolCallOutcome.REFUSED, reason, attempts: 0 };
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
