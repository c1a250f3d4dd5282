import type { Tool } from "@soldier/proto/config/v1/tool";
import { placeOf } from "./draft-index.ts";
import type { Problem } from "./problem.ts";

/** Of two tools that overlap one must be the preferred one: preferences in a circle prefer none. */
export function checkPreferences(tools: readonly Tool[]): readonly Problem[] {
  const byId = new Map(tools.map((tool) => [tool.id, tool]));
  const told = new Set<string>();
  return tools.flatMap((tool) => {
    const circle = told.has(tool.id) ? undefined : circleFrom(tool, byId);
    if (!circle) return [];
    for (const { id } of circle) told.add(id);
    const names = [...circle, tool].map(({ name }) => name).join(" → ");
    return [
      {
        field: `${placeOf("tools", tool)}.preferred_over_tool_ids`,
        reason: "CYCLE",
        description: `preferences go in a circle: ${names}; remove one of them`,
      },
    ];
  });
}

/** The way over preferences that leads from a tool back to it, the tool first. */
function circleFrom(start: Tool, byId: ReadonlyMap<string, Tool>): readonly Tool[] | undefined {
  const ways: (readonly Tool[])[] = [[start]];
  const seen = new Set<string>();
  for (let way = ways.pop(); way; way = ways.pop()) {
    for (const id of way.at(-1)?.preferredOverToolIds ?? []) {
      if (id === start.id) return way;
      const next = byId.get(id);
      if (!next || seen.has(id)) continue;
      seen.add(id);
      ways.push([...way, next]);
    }
  }
  return undefined;
}
