import { setTimeout as pause } from "node:timers/promises";
import { cancelled } from "@soldier/ai/cancelled";
import { Fault } from "@soldier/kernel/fault";
import { ToolCallOutcome } from "@soldier/proto/audit/v1/turn_record";
import type { Tool } from "@soldier/proto/config/v1/tool";
import type { Json } from "../domain/json.ts";
import { brokenSchema, schemaProblem } from "../domain/tool-schema.ts";
import type { ToolLedger } from "./tool-ledger.ts";
import type { ToolAnswer, ToolRequest, ToolTransport } from "./tool-transport.ts";

/** How a tool that is outside the engine ended. */
export interface ToolEnd {
  readonly outcome: ToolCallOutcome;
  readonly reason: string;
  readonly attempts: number;
  readonly result?: Json | undefined;
  /** Of the call that was made, when it was not this one. */
  readonly key?: string;
}

/**
 * Calls a tool: as often as its retries allow when that is harmless, else once in all the turns that
 * may come to the same call. Throws LEASE_LOST when the session is another turn's by now.
 */
export async function calledOutside(
  req: ToolRequest,
  transport: ToolTransport,
  ledger: ToolLedger,
  signal: AbortSignal,
): Promise<ToolEnd> {
  const { outputSchema } = req.tool;
  const broken = outputSchema && brokenSchema(outputSchema);
  if (broken !== undefined) {
    // Found now, and not when it has been done and its answer can't be used.
    const reason = `TOOL_SCHEMA_INVALID: ${broken}`;
    return { outcome: ToolCallOutcome.REFUSED, reason, attempts: 0 };
  }
  try {
    if (req.tool.idempotent || (await transport.onlyReads(req, signal)))
      return await repeatedly(req, transport, signal);
  } catch (error) {
    return stopped(error);
  }
  return await onceOnly(req, transport, ledger, signal);
}

async function repeatedly(
  req: ToolRequest,
  transport: ToolTransport,
  signal: AbortSignal,
): Promise<ToolEnd> {
  const { tool } = req;
  const attemptsMax = 1 + (tool.idempotent ? tool.retriesMax : 0);
  for (let attempts = 1; ; attempts++) {
    const answer = await transport.call(req, signal);
    const isFinal = answer.kind !== "failed" || answer.why === "no";
    const waitMs = (answer.kind === "failed" && answer.retryAfterMs) || backoffMs(attempts);
    // Whoever asks for more patience than an attempt may take is not waited for.
    if (isFinal || attempts >= attemptsMax || waitMs > req.timeoutMs || signal.aborted)
      return {
        ...endOf(tool, answer),
        attempts: answer.kind === "refused" ? attempts - 1 : attempts,
      };
    // Wakes up early when the turn's time is over; the next attempt then fails at once.
    await pause(waitMs, undefined, { signal }).catch(() => undefined);
  }
}

async function onceOnly(
  req: ToolRequest,
  transport: ToolTransport,
  ledger: ToolLedger,
  signal: AbortSignal,
): Promise<ToolEnd> {
  const { tool, key } = req;
  if (isOver(signal)) return stopped(cancelled(signal));
  const permit = await ledger
    .begin({ key, toolId: tool.id, arguments: req.arguments })
    .catch((error: unknown) => {
      if (!(error instanceof Fault) || error.reason === "LEASE_LOST") throw error;
      return { kind: "closed" as const, reason: `LEDGER_UNAVAILABLE: ${error.reason}` };
    });
  switch (permit.kind) {
    case "closed":
      return { outcome: ToolCallOutcome.REFUSED, reason: permit.reason, attempts: 0 };
    case "unknown":
      return refusedAs(permit.key, "OUTCOME_UNKNOWN");
    case "done": {
      const { outcome, result, reason, key: first } = permit;
      return outcome === ToolCallOutcome.SUCCEEDED
        ? { outcome: ToolCallOutcome.REPLAYED, result, reason: "", attempts: 0, key: first }
        : { outcome, reason, attempts: 0, key: first };
    }
    case "run":
      if (isOver(signal)) {
        // Nothing has been sent: whoever takes its place may.
        const reason = cancelled(signal).reason;
        await ledger.end(key, { outcome: ToolCallOutcome.FAILED, result: undefined, reason });
        return stopped(cancelled(signal));
      }
      return await unbroken(noted(req, transport, ledger), signal);
  }
}

/** A function, since the compiler thinks that what was looked at once stays so. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}

function refusedAs(key: string, reason: string): ToolEnd {
  return { outcome: ToolCallOutcome.REFUSED, reason, attempts: 0, key };
}

/** The one attempt. What nobody knows stays open in the ledger; all else is written down. */
async function noted(
  req: ToolRequest,
  transport: ToolTransport,
  ledger: ToolLedger,
): Promise<ToolEnd> {
  const answer = await transport.call(req, neverAborted);
  const end = { ...endOf(req.tool, answer), attempts: answer.kind === "refused" ? 0 : 1 };
  if (answer.kind === "failed" && answer.isUncertain)
    return { ...end, reason: uncertain(answer.reason) };
  const { reason } = end;
  // To the ledger, a call that was refused has failed: it may be made again.
  const isDone = end.outcome !== ToolCallOutcome.REFUSED;
  const outcome = isDone ? end.outcome : ToolCallOutcome.FAILED;
  const result = outcome === ToolCallOutcome.SUCCEEDED ? end.result : undefined;
  await ledger.end(req.key, { outcome, result, reason });
  return end;
}

const neverAborted = new AbortController().signal;

/**
 * A call with an effect is not broken off with its turn: it goes on, within its own time, and the ledger
 * learns how it ended. Only the turn does not wait for it any more.
 */
function unbroken(work: Promise<ToolEnd>, signal: AbortSignal): Promise<ToolEnd> {
  return new Promise((resolve, reject) => {
    const leave = () =>
      resolve({
        outcome: ToolCallOutcome.FAILED,
        reason: uncertain("TOOL_TIMEOUT"),
        attempts: 1,
      });
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

/** E.g. TIMEOUT_OUTCOME_UNKNOWN, HTTP_504_OUTCOME_UNKNOWN. */
function uncertain(reason: string): string {
  return `${reason.replace(/^TOOL_/, "")}_OUTCOME_UNKNOWN`;
}

function endOf(tool: Tool, answer: ToolAnswer): Omit<ToolEnd, "attempts"> {
  switch (answer.kind) {
    case "answered": {
      const { result } = answer;
      const problem =
        tool.outputSchema && Object.keys(tool.outputSchema).length > 0
          ? schemaProblem(tool.outputSchema, result)
          : undefined;
      return problem === undefined
        ? { outcome: ToolCallOutcome.SUCCEEDED, reason: "", result }
        : { outcome: ToolCallOutcome.INVALID_RESULT, reason: problem, result };
    }
    case "unusable":
      return { outcome: ToolCallOutcome.INVALID_RESULT, reason: answer.reason };
    case "refused":
      return { outcome: ToolCallOutcome.REFUSED, reason: answer.reason };
    case "failed":
      return { outcome: ToolCallOutcome.FAILED, reason: answer.reason };
  }
}

/** Of a call that was broken off with its turn. */
function stopped(error: unknown): ToolEnd {
  if (!(error instanceof Fault)) throw error;
  return { outcome: ToolCallOutcome.FAILED, reason: error.reason, attempts: 1 };
}

function backoffMs(attempt: number): number {
  return Math.min(1_000, 50 * 2 ** attempt) * (0.5 + Math.random() / 2);
}
