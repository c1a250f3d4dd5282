import { create } from "@bufbuild/protobuf";
import { type VariableRecord, VariableRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { VariablePolicy } from "@soldier/proto/config/v1/template";
import type { ResolvedVariable, SessionState } from "@soldier/proto/session/v1/session";
import type { JsonRecord } from "../domain/json.ts";
import type { KnownValues } from "../domain/known-values.ts";
import { toolArguments } from "../domain/tool-arguments.ts";
import { partOf } from "../domain/tool-results.ts";
import {
  groupsOf,
  type Moment,
  needsTool,
  remembered,
  standingVariables,
} from "../domain/variables.ts";
import type { ToolRun } from "./tool-run.ts";
import type { ToolRuns } from "./tool-runs.ts";
import type { Turn } from "./turn.ts";

export interface ResolvedVariables {
  readonly values: JsonRecord;
  /** What the session keeps, by name. */
  readonly kept: Readonly<Record<string, ResolvedVariable>>;
  readonly records: readonly VariableRecord[];
}

/**
 * Resolves the variables whose moment it is. Their tools run with what is known: no model is asked,
 * and nobody is asked for what they lack.
 */
export async function resolvedVariables(
  turn: Pick<Turn, "bundle" | "customer" | "incoming" | "history">,
  {
    state,
    known,
    moment,
    now,
  }: { state: SessionState; known: KnownValues; moment: Moment; now: Date },
  runs: ToolRuns,
): Promise<ResolvedVariables> {
  const { bundle, customer } = turn;
  const standing = standingVariables({
    bundle,
    resolved: state.variables,
    customerId: customer.id,
    groups: groupsOf(known.profile),
    now,
  });
  const messages = [
    turn.incoming.text,
    ...turn.history.map(({ userText }) => userText).toReversed(),
  ];
  /** One run for all variables that come from the same tool. */
  const fetched = new Map<string, Promise<ToolRun>>();
  const values: JsonRecord = { ...known.variables };
  const kept: Record<string, ResolvedVariable> = {};
  const records: VariableRecord[] = [];

  await Promise.all(
    [...bundle.variables.values()].map(async (variable) => {
      const { name } = variable;
      let { source, value } = standing.get(name) ?? { source: "unresolved", value: undefined };
      const tool = bundle.toolsById.get(variable.toolId);
      if (tool && needsTool(variable, { source, value }, moment)) {
        const given = toolArguments({ tool, known, messages, awaited: undefined });
        const running =
          fetched.get(tool.id) ?? runs.run(tool, `variable:${name}`, { given, refusal: undefined });
        fetched.set(tool.id, running);
        const answer = partOf((await running).result, variable.resultPath);
        if (answer !== undefined) {
          source = "tool";
          value = answer;
          const lasting = remembered(variable, answer, now);
          if (lasting) kept[name] = lasting;
        }
      } else if (!moment.named.has(name) && variable.policy !== VariablePolicy.ON_EACH_TURN) return; // nobody looked at it
      if (value !== undefined) values[name] = value;
      records.push(create(VariableRecordSchema, { name, source }));
    }),
  );
  return { values, kept, records };
}
