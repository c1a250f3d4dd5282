import { throwIfCancelled } from "@soldier/ai/cancelled";
import { Fault } from "@soldier/kernel/fault";
import { timeoutSignal } from "@soldier/kernel/timeout-signal";
import type { ToolAnswer } from "../pipeline/tool-transport.ts";

/** A tool's call, ready to be sent; or why it never is. */
export type Prepared =
  | { readonly refused: string }
  | {
      /** Whose trouble it is when it fails. */
      readonly host: string;
      call(signal: AbortSignal): Promise<ToolAnswer>;
      /** Whether it changes nothing; asked of its server where only that knows, which answers true or false. */
      readonly onlyReads: boolean | ((signal: AbortSignal) => Promise<ToolAnswer>);
    };

/**
 * Runs an attempt within its time and says what its failure means. `sent` tells whether the request may
 * have arrived: once it has, nobody knows what was done when the answer is lost.
 */
export async function attempt(
  timeoutMs: number,
  signal: AbortSignal,
  work: (until: AbortSignal, sent: () => void) => Promise<ToolAnswer>,
): Promise<ToolAnswer> {
  const timeout = timeoutSignal(timeoutMs);
  let isUncertain = false;
  try {
    return await work(AbortSignal.any([signal, timeout]), () => {
      isUncertain = true;
    });
  } catch (error) {
    throwIfCancelled(signal);
    if (timeout.aborted)
      return { kind: "failed", reason: "TOOL_TIMEOUT", why: "down", isUncertain };
    const chain = causes(error);
    const fault = chain.find((cause) => cause instanceof Fault);
    // No connection came about: not even an uncertain request has left.
    isUncertain &&= !chain.some(isOfConnecting);
    if (fault?.kind === "forbidden") return { kind: "refused", reason: fault.reason };
    if (fault?.reason === answerTooLarge) return { kind: "unusable", reason: answerTooLarge };
    const reason = fault?.reason ?? (isUncertain ? "TOOL_CONNECTION_LOST" : "TOOL_UNREACHABLE");
    return { kind: "failed", reason, why: "down", isUncertain };
  }
}

function isOfConnecting(cause: unknown): boolean {
  return cause instanceof Error && "syscall" in cause && cause.syscall === "connect";
}

export const answerTooLarge = "TOOL_ANSWER_TOO_LARGE";

/** An error and what has caused it, the outermost first. */
function causes(error: unknown): readonly unknown[] {
  const chain: unknown[] = [];
  let here = error;
  while (here !== undefined && chain.length < causesMax) {
    chain.push(here);
    here = here instanceof Error ? here.cause : undefined;
  }
  return chain;
}

const causesMax = 10;

/** By the header of that name: seconds, or a date. */
export function retryAfterMs(header: string | null | undefined, now: Date): number | undefined {
  if (!header) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - now.getTime();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
