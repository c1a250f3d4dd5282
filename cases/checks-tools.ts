import { isDeepStrictEqual } from "node:util";
import { toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type ToolCallRecord,
  ToolCallOutcome,
  ToolCallOutcomeSchema,
} from "@soldier/proto/audit/v1/turn_record";
import { z } from "zod";
import type { Check } from "./check.ts";
import { differs, lacks, namesIn, numberIn, recordIn, shown, truthIn } from "./expected.ts";
import { replyOf } from "./checks-reply.ts";
import { probe } from "./document.ts";
import type { Ran } from "./run-case.ts";

const callShape = z.strictObject({
  tool: z.string(),
  args: z.record(z.string(), z.unknown()).optional(),
});
type ExpectedCall = z.output<typeof callShape>;

interface Made {
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** Calls that reached a tool, by what the tools themselves saw; attempts of one call are one. */
export function madeCalls({ called }: Ran): readonly Made[] {
  const seen = new Set<string>();
  return called.filter(({ key, tool }) => {
    const one = `${tool} ${key}`;
    if (key !== "" && seen.has(one)) return false;
    seen.add(one);
    return true;
  });
}

function isCall({ tool, args }: ExpectedCall, made: Made): boolean {
  return made.tool === tool && (args === undefined || isDeepStrictEqual({ ...made.args }, args));
}

function callsIn(expected: unknown): readonly ExpectedCall[] {
  return z.array(callShape).parse(expected);
}

function mismatch(expected: unknown, ran: Ran): string {
  const got = madeCalls(ran).map(({ tool, args }) => ({ tool, args }));
  const told = toolRecords(ran).map(
    ({ name, outcome, reason, missingArguments }) =>
      `${name} ${outcomeName(outcome)}${reason ? ` ${reason}` : ""}${missingArguments.length > 0 ? ` without ${missingArguments.join(", ")}` : ""}`,
  );
  const record = told.length > 0 ? ` (record: ${told.join("; ")})` : "";
  return `expected ${shown(expected)}, got ${shown(got)}${record}`;
}

function outcomeName(outcome: ToolCallOutcome): string {
  return ToolCallOutcomeSchema.value[outcome]?.localName ?? "";
}

function toolRecords({ records }: Ran): readonly ToolCallRecord[] {
  return records.flatMap(({ toolCalls }) => toolCalls);
}

/** Each expected call with one of its own among those made; how many were left over on either side. */
function paired(expected: readonly ExpectedCall[], made: readonly Made[]) {
  const rest = [...made];
  const missing = expected.filter((each) => {
    const at = rest.findIndex((one) => isCall(each, one));
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
  return { missing: missing.length, extra: rest.length };
}

export const toolChecks: Readonly<Record<string, Check>> = {
  tool_calls(expected, ran) {
    const { missing } = paired(callsIn(expected), madeCalls(ran));
    return missing === 0 ? undefined : mismatch(expected, ran);
  },
  tool_calls_exactly(expected, ran) {
    const calls = callsIn(expected);
    const made = madeCalls(ran);
    const same =
      calls.length === made.length && calls.every((each, i) => isCall(each, made[i] ?? none));
    return same ? undefined : mismatch(expected, ran);
  },
  tool_calls_exactly_unordered(expected, ran) {
    const { missing, extra } = paired(callsIn(expected), madeCalls(ran));
    return missing + extra === 0 ? undefined : mismatch(expected, ran);
  },
  tool_calls_count: (expected, ran) =>
    madeCalls(ran).length === numberIn(expected) ? undefined : mismatch(expected, ran),
  tool_not_called(expected, ran) {
    const made = new Set(madeCalls(ran).map(({ tool }) => tool));
    return namesIn(expected).some((name) => made.has(name)) ? mismatch(expected, ran) : undefined;
  },
  /** Requests that tools saw, attempts counted one by one. */
  tool_attempts: (expected, ran) =>
    ran.called.length === numberIn(expected)
      ? undefined
      : `expected ${shown(expected)} requests, got ${ran.called.length}`,
  tool_calls_count_max: (expected, ran) =>
    madeCalls(ran).length <= numberIn(expected) ? undefined : mismatch(expected, ran),
  /** Arguments that a call lacks, among others. */
  missing_params_include(expected, ran) {
    const missing = toolRecords(ran).flatMap(({ missingArguments }) => missingArguments);
    return lacks(namesIn(expected), missing);
  },
  missing_params(expected, ran) {
    const missing = toolRecords(ran).flatMap(({ missingArguments }) => missingArguments);
    return differs(namesIn(expected), [...new Set(missing)]);
  },
  /** How each tool's last call ended, as in ToolCallOutcome. */
  tool_outcomes(expected, ran) {
    const got = Object.fromEntries(
      Object.keys(recordIn(expected)).map((tool) => {
        const last = toolRecords(ran).findLast(({ name }) => ran.names.things.back(name) === tool);
        return [tool, last ? outcomeName(last.outcome) : "none"];
      }),
    );
    return isDeepStrictEqual(got, expected)
      ? undefined
      : `expected ${shown(expected)}, got ${shown(got)}`;
  },
  tool_result_in_reply_context(expected, ran) {
    const succeeded = toolRecords(ran).filter(
      ({ outcome }) =>
        outcome === ToolCallOutcome.SUCCEEDED || outcome === ToolCallOutcome.REPLAYED,
    );
    const results = succeeded.map(({ result }) =>
      result ? shown(toJson(ValueSchema, result)) : "",
    );
    const returned = ran.plan.case.agent.tools.map((tool) => shown(tool.returns ?? "done"));
    const known = returned.some((each) => results.some((result) => result.includes(each)));
    const written = ran.asked?.findLast(({ shape }) => shape.length === 0)?.prompt;
    const read = written === undefined || returned.some((each) => written.includes(each));
    return (known && read) === truthIn(expected)
      ? undefined
      : `results are ${shown(results)}${read ? "" : ", and the reply's prompt has none"}`;
  },
  tool_event_persisted(expected, ran) {
    const kept = toolRecords(ran).some((each) => each.kept);
    const own = new Set(ran.plan.case.agent.tools.map(({ name }) => ran.names.things.of(name)));
    const stored = Object.keys(ran.session?.state?.toolResults ?? {}).filter((name) =>
      own.has(name),
    );
    const persisted = kept || stored.length > 0;
    if (toolRecords(ran).length === 0) return "no tool ran";
    return persisted === truthIn(expected)
      ? undefined
      : `the session keeps ${shown(stored)}; the record says ${kept ? "kept" : "not kept"}`;
  },
  variable_resolved(expected, ran) {
    const wrong = Object.entries(recordIn(expected)).flatMap(([name, value]) => {
      const got = resolved(name, ran);
      return isDeepStrictEqual(got ?? null, value) ? [] : [`${name} is ${shown(got)}`];
    });
    return wrong.length === 0 ? undefined : `expected ${shown(expected)}, but ${wrong.join(", ")}`;
  },
  variable_source(expected, ran) {
    const sources = ran.records.at(-1)?.variables ?? [];
    const got = Object.fromEntries(
      Object.keys(recordIn(expected)).map((name) => [
        name,
        sources.find((each) => each.name === ran.names.values.of(name))?.source ?? "none",
      ]),
    );
    return isDeepStrictEqual(got, expected)
      ? undefined
      : `expected ${shown(expected)}, got ${shown(got)}`;
  },
};

const none: Made = { tool: "", args: {} };

/** A variable's value as the reply tells it; where no reply does, what its source in the record holds. */
function resolved(name: string, ran: Ran): unknown {
  const { plan, names, records, called } = ran;
  const engineName = names.values.of(name);
  const variable = plan.case.agent.variables.find((each) => each.name === name);
  const used = records.at(-1)?.templates.some((each) => each.name === probe && each.used);
  if (plan.probed.includes(name) && used) {
    const line = replyOf(ran)
      .split("\n")
      .find((each) => each.startsWith(`${engineName}=`));
    return asWritten(line?.slice(engineName.length + 1), variable?.values ?? {});
  }
  const source = records.at(-1)?.variables.find((each) => each.name === engineName)?.source ?? "";
  const values = Object.entries(variable?.values ?? {});
  const level = { customer: "customer:", group: "tag:", agent: "agent:", global: "global" }[source];
  if (level !== undefined) return values.find(([whom]) => whom.startsWith(level))?.[1];
  if (source === "default") return variable?.default;
  const tool = plan.case.agent.tools.find((each) => each.name === variable?.tool);
  if (source === "tool" && called.some((each) => each.tool === tool?.name)) return tool?.returns;
  return undefined;
}

/** Text in a reply as the value that it stands for: numbers and truths where the case has such. */
function asWritten(text: string | undefined, values: Readonly<Record<string, unknown>>): unknown {
  if (text === undefined) return undefined;
  const typed = Object.values(values).find((value) => String(value) === text);
  return typed ?? text;
}
