import { segmentsOf } from "@soldier/kernel/template-text";
import type { Tool } from "@soldier/proto/config/v1/tool";
import type { SessionState } from "@soldier/proto/session/v1/session";
import { at, isRecord, type Json, valueOf } from "./json.ts";

const resultsKeptMax = 10;
const resultSizeMax = 8_192;

/** Keeps a result in the state for later turns; false for a large one, which is for this turn only. */
export function keepResult(state: SessionState, name: string, result: Json): boolean {
  delete state.toolResults[name];
  if (JSON.stringify(result).length > resultSizeMax) return false;
  const names = Object.keys(state.toolResults);
  for (const old of names.slice(0, Math.max(0, names.length - resultsKeptMax + 1)))
    delete state.toolResults[old];
  state.toolResults[name] = valueOf(result);
  return true;
}

/** The part of a result that a path leads to; undefined when there is nothing. */
export function partOf(result: Json | undefined, path: string): Json | undefined {
  if (result === undefined || path === "") return result;
  const found = at(result, segmentsOf(path));
  return found === null || (isRecord(found) && Object.keys(found).length === 0) ? undefined : found;
}

/** Whether another value for the field means another call of the tool. */
export function dependsOn(tool: Tool, field: string): boolean {
  const sources = Object.entries(tool.arguments);
  return sources.some(
    ([name, { from }]) => from === `fields.${field}` || (name === field && !from),
  );
}
