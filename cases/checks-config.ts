import type { Fault } from "@soldier/kernel/fault";
import { shown, textIn } from "./expected.ts";

/** Whether saving was refused, and for this: its code is among those of the problems that were found. */
export function refusalProblem(expected: unknown, refused: Fault | undefined): string | undefined {
  const code = textIn(expected);
  if (!refused) return `expected to be refused for ${code}, but it was saved and published`;
  const codes = [refused.reason, ...(refused.metadata["problems"]?.split(",") ?? [])];
  if (codes.includes(code)) return undefined;
  return `expected to be refused for ${code}, but it was for ${shown(codes)}: ${refused.message}`;
}
