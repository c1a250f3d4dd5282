import { isDeepStrictEqual } from "node:util";
import type { CaseTool } from "./case-file.ts";
import type { Knowledge } from "./oracle-answers.ts";

type Proposed = {
  readonly tool: string;
  readonly now: boolean;
  readonly arguments: readonly { readonly name: string; readonly json: string }[];
};

/** A call that a case expects. */
export interface ExpectedCall {
  readonly tool: string;
  readonly args?: Readonly<Record<string, unknown>>;
}

export function expectedCalls(expect: Readonly<Record<string, unknown>>): readonly ExpectedCall[] {
  return ["tool_calls", "tool_calls_exactly", "tool_calls_exactly_unordered"].flatMap((key) =>
    Array.isArray(expect[key]) ? (expect[key] as readonly ExpectedCall[]) : [],
  );
}

/** The calls that the conversation asks for, without those that were made already. */
export function callsFor({ plan, names, called, question }: Knowledge): readonly Proposed[] {
  const { agent, expect } = plan.case;
  const expected = expectedCalls(expect);
  const aliases = new Map(
    [...question.entries("tools")].flatMap(([alias, text]) => {
      const name = /"name"\s*:\s*"([^"]+)"/.exec(text)?.[1];
      return name === undefined ? [] : [[names.things.back(name), alias] as const];
    }),
  );
  return [...aliases].flatMap(([name, alias]) => {
    const tool = agent.tools.find((each) => each.name === name);
    if (!tool) return [];
    const own = expected.filter((each) => each.tool === name);
    const open = own.filter(
      ({ args = {} }) =>
        !called.some((made) => made.tool === name && isDeepStrictEqual(made.args, args)),
    );
    if (own.length > 0)
      return open.map(({ args = {} }) => ({ tool: alias, now: true, arguments: asJson(args) }));
    return expected.length > 0 ? [] : unfinished(tool, alias);
  });

  /** Nothing is expected to be called: what is known is given all the same. */
  function unfinished(tool: CaseTool, alias: string): readonly Proposed[] {
    const missing = expect["missing_params"];
    if (!Array.isArray(missing) && (tool.consequential || tool.required.length === 0))
      return tool.consequential
        ? [{ tool: alias, now: false, arguments: asJson(knownValues(tool, [])) }]
        : [];
    const gone = Array.isArray(missing) ? (missing as unknown[]).map(String) : [];
    return [{ tool: alias, now: true, arguments: asJson(knownValues(tool, gone)) }];
  }

  /** Numbers and names that the conversation has said, in the order in which the tool wants them. */
  function knownValues(tool: CaseTool, missing: readonly string[]): Record<string, unknown> {
    const text = [...plan.past.map(({ customer }) => customer), ...plan.liveTexts].join(". ");
    const numbers = [...text.matchAll(/\d[\d,]*/g)].map(([digits]) =>
      Number(digits.replaceAll(",", "")),
    );
    const people = [...text.matchAll(/\p{Lu}\p{L}+ \p{Lu}\p{L}+/gu)].map(([name]) => name);
    const [, own = ""] = /(?:[Mm]y name is|I am|I'm) (\p{Lu}\p{L}+ \p{Lu}\p{L}+)/u.exec(text) ?? [];
    const others = people.filter((name) => name !== own);
    const values: Record<string, unknown> = {};
    for (const [name, type] of Object.entries(tool.params)) {
      // Of several texts we can't tell which is meant, unless the case says what is missing.
      if (missing.includes(name)) continue;
      if (type === "integer" || type === "number") {
        const number = numbers.shift();
        if (number !== undefined) values[name] = number;
        continue;
      }
      if (missing.length === 0) continue;
      const isCode = /pin|code|number|_id$/.test(name);
      const isOwn = /from|sender|customer|owner/.test(name);
      const value = isCode
        ? numbers.shift()?.toString()
        : isOwn
          ? own || undefined
          : others.shift();
      if (value !== undefined) values[name] = value;
    }
    return values;
  }
}

function asJson(values: Readonly<Record<string, unknown>>) {
  return Object.entries(values).map(([name, value]) => ({ name, json: JSON.stringify(value) }));
}
