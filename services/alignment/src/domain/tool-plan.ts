import type { Tool } from "@soldier/proto/config/v1/tool";
import type { JsonRecord } from "./json.ts";
import type { ToolArguments } from "./tool-arguments.ts";

/** A call that a turn makes, or would make but for a reason. */
export interface PlannedCall {
  readonly given: ToolArguments;
  /** Why it is not made, whatever it is given. */
  readonly refusal: Refusal | undefined;
}

/**
 * The customer has not clearly asked for it now; no model could say whether they have; another tool
 * does the same and is preferred.
 */
export type Refusal = "TOOL_NOT_ASKED_FOR" | "TOOL_NOT_CONFIRMED" | "TOOL_NOT_PREFERRED";

export interface PlanQuestion {
  readonly tool: Tool;
  /** The tools that are due in this turn, this one among them. */
  readonly due: readonly Tool[];
  /** What a model proposes, by tool id; no entry for a tool that it was not asked about. */
  readonly proposed: ReadonlyMap<string, readonly JsonRecord[]>;
  /** There is a model, so that a consequential tool waits for its word. */
  readonly hasModel: boolean;
  /** All arguments of a call; without a proposal, from where they can be had without a model. */
  readonly filled: (proposal?: {
    readonly values: JsonRecord;
    readonly only: boolean;
  }) => ToolArguments;
}

/**
 * The calls of one tool. Where a model proposes several each stands for itself; where it proposes none
 * the tool runs once with what is known, unless its effect needs the customer's wish or a tool that
 * overlaps with it is the one that was meant.
 */
export function plannedCalls(question: PlanQuestion): readonly PlannedCall[] {
  const { tool, due, proposed, hasModel, filled } = question;
  const proposals = proposed.get(tool.id);
  const preferred = due.filter(({ preferredOverToolIds }) =>
    preferredOverToolIds.includes(tool.id),
  );
  if (proposals && proposals.length > 0) {
    const taken = preferred.flatMap(({ id }) => proposed.get(id) ?? []);
    return proposals.map((values) => ({
      given: filled({ values, only: proposals.length === 1 }),
      refusal: taken.some((other) => sameRequest(values, other)) ? "TOOL_NOT_PREFERRED" : undefined,
    }));
  }
  const once = (refusal?: Refusal) => [{ given: filled(), refusal }];
  const others = due.filter((other) => overlaps(tool, other));
  if (others.some(({ id }) => (proposed.get(id) ?? []).length > 0))
    return once("TOOL_NOT_PREFERRED");
  if (preferred.length > 0) return once("TOOL_NOT_PREFERRED");
  if (tool.consequential && hasModel)
    return once(proposals ? "TOOL_NOT_ASKED_FOR" : "TOOL_NOT_CONFIRMED");
  return once();
}

/** Whether one of the two is preferred over the other where both would do. */
export function overlaps(one: Tool, other: Tool): boolean {
  return one.preferredOverToolIds.includes(other.id) || other.preferredOverToolIds.includes(one.id);
}

/** Whether all that one call is given the other is given, too, under whatever name. */
function sameRequest(one: JsonRecord, other: JsonRecord): boolean {
  const [few = [], many = []] = [one, other]
    .map((values) => Object.values(values).map((value) => JSON.stringify(value).toLowerCase()))
    .toSorted((a, b) => a.length - b.length);
  return few.every((value) => many.includes(value));
}
