import type { Variable } from "@soldier/proto/config/v1/template";
import type { Tool } from "@soldier/proto/config/v1/tool";
import { cronProblem } from "@soldier/kernel/cron";
import { segmentsOf } from "@soldier/kernel/template-text";
import { isPath } from "./check-tool.ts";
import { propertiesOf } from "./json-schema.ts";
import { type Notes, unknownName } from "./problem.ts";

export function checkVariable(
  variable: Variable,
  notes: Notes,
  tools: ReadonlyMap<string, Tool>,
): void {
  const { toolId, resultPath, refreshCron, cacheTtl } = variable;
  const tool = tools.get(toolId);
  if (tool?.consequential)
    notes.wrong(
      "tool_id",
      "TOOL_CONSEQUENTIAL",
      `"${tool.name}" is consequential: it runs when a customer asks for it, not to give a value`,
    );
  if (resultPath) {
    const what = "is a part of a tool's result: set tool_id";
    if (!toolId) notes.wrong("result_path", "RESULT_PATH_INVALID", what);
    if (isPath(resultPath, "result_path", notes) && tool) checkPart(resultPath, tool, notes);
  }
  if (cacheTtl && cacheTtl.seconds <= 0n && cacheTtl.nanos <= 0)
    notes.wrong("cache_ttl", "TTL_INVALID", "must be longer than nothing");
  const problem = refreshCron ? cronProblem(refreshCron) : undefined;
  if (problem !== undefined)
    notes.wrong(
      "refresh_cron",
      "CRON_INVALID",
      `is not five cron fields (minute hour day month weekday): ${problem}`,
    );
  if (toolId) return;
  const idle = "only a value that a tool gives is fetched again";
  if (refreshCron) notes.doubtful("refresh_cron", "NO_EFFECT", idle);
  if (cacheTtl) notes.doubtful("cache_ttl", "NO_EFFECT", idle);
}

/** What a tool declares of its result it must have; what it leaves open may be there. */
function checkPart(path: string, { name, outputSchema }: Tool, notes: Notes): void {
  const properties = propertiesOf(outputSchema);
  const [head = ""] = segmentsOf(path);
  if (!properties || properties.includes(head)) return;
  const text = `${unknownName("property", head, properties)} in the result of "${name}"`;
  if (outputSchema?.["additionalProperties"] === false)
    notes.wrong("result_path", "RESULT_PATH_INVALID", text);
  else notes.doubtful("result_path", "RESULT_PATH_INVALID", text);
}
