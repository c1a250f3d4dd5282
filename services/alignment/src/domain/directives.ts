import { create } from "@bufbuild/protobuf";
import { type Rule, RuleSchema, Scope } from "@soldier/proto/config/v1/rule";
import type { Tool } from "@soldier/proto/config/v1/tool";
import { noMatch } from "@soldier/retrieval/match-index";
import { z } from "zod";
import type { RuleCandidate } from "./candidates.ts";
import { isRecord, type Json, type JsonRecord } from "./json.ts";

/** What a tool may ask of the turn in its result's `soldier`. */
export interface Directives {
  /** Rules of this turn: they have an action and nothing else, and are counted nowhere. */
  readonly rules: readonly RuleCandidate[];
  /** Values for names in templates, of this turn. */
  readonly fields: JsonRecord;
  /** Values of the agent's variables, for the session. */
  readonly variables: JsonRecord;
  readonly handOff: boolean;
}

const rulesMax = 10;
const valuesMax = 20;
const valueLengthMax = 2_000;
const name = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/);
const value = z.json().refine((given) => JSON.stringify(given).length <= valueLengthMax, {
  error: `must be at most ${valueLengthMax} characters of JSON`,
});
const values = z
  .record(z.string().regex(/^[a-z][a-z0-9_]{0,62}$/), value)
  .refine((given) => Object.keys(given).length <= valuesMax, {
    error: `must have at most ${valuesMax} entries`,
  })
  .default({});

const shape = z.strictObject({
  rules: z
    .array(
      z.strictObject({
        name: name.optional(),
        condition: z.string().max(1_000).default(""),
        action: z.string().min(1).max(2_000),
        priority: z.int().min(-100).max(100).default(0),
      }),
    )
    .max(rulesMax)
    .default([]),
  fields: values,
  variables: values,
  hand_off: z.boolean().default(false),
});

export interface Directed {
  /** The result without what it directs. */
  readonly data: Json;
  readonly directives: Directives | undefined;
  /** Why directives were ignored; empty when they were not. */
  readonly problem: string;
}

/** Takes apart what a tool answered. All of it is data, unless the tool is one that directs. */
export function directed(tool: Tool, result: Json, variables: ReadonlySet<string>): Directed {
  if (!tool.directs || !isRecord(result) || !Object.hasOwn(result, "soldier"))
    return { data: result, directives: undefined, problem: "" };
  const { soldier, ...data } = result;
  const read = shape.safeParse(soldier);
  if (!read.success) return { data, directives: undefined, problem: problemOf(read.error) };
  const { rules, fields, hand_off } = read.data;
  const known = Object.entries(read.data.variables).filter(([each]) => variables.has(each));
  const unknown = Object.keys(read.data.variables).filter((each) => !variables.has(each));
  return {
    data,
    directives: {
      rules: rules.map((rule, i) => transientRule(tool, rule, i + 1)),
      fields,
      variables: Object.fromEntries(known),
      handOff: hand_off,
    },
    problem: unknown.length > 0 ? `directives: no variable ${unknown.join(", ")}` : "",
  };
}

function problemOf(error: z.ZodError): string {
  const [first] = error.issues;
  const where = ["soldier", ...(first?.path ?? [])].join(".");
  return `directives ignored: ${where}: ${first?.message ?? "wrong"}`.slice(0, 300);
}

function transientRule(
  tool: Tool,
  rule: z.output<typeof shape>["rules"][number],
  number: number,
): RuleCandidate {
  const { condition, action, priority } = rule;
  return {
    rule: create(RuleSchema, {
      id: `${transientPrefix}${tool.id}:${number}`,
      name: rule.name ?? `${tool.name}-${number}`,
      condition,
      // Nobody judges its condition: whoever writes the reply does.
      action: condition === "" ? action : `If ${condition}: ${action}`,
      priority,
      scope: Scope.GLOBAL,
    }),
    scores: noMatch,
    eliminatedBy: "",
    reason: `brought by ${tool.name} for this turn`,
    distance: 0,
  };
}

const transientPrefix = "transient:";

/** Whether a tool brought the rule for this turn only. */
export function isTransient({ id }: Pick<Rule, "id">): boolean {
  return id.startsWith(transientPrefix);
}
