import { readFileSync } from "node:fs";
import { z } from "zod";

const names = z.array(z.string());
const texts = z.union([z.string(), names]).transform((given) => [given].flat());

const ruleShape = z.strictObject({
  id: z.string(),
  when: z.string().nullish(),
  // oxlint-disable-next-line unicorn/no-thenable -- what a rule does is "then" in case files
  then: z.string().nullish(),
  scope: z.enum(["GLOBAL", "SCENARIO", "STEP"]).default("GLOBAL"),
  /** Scope SCENARIO: the scenario; scope STEP: a step, or a scenario for any of its steps. */
  scope_ref: z.string().optional(),
  priority: z.number().default(0),
  tags: names.default([]),
  tools: names.default([]),
  templates: names.default([]),
  tracking: z.enum(["CONTINUOUS", "ONE_SHOT", "CUSTOMER_DEPENDENT"]).optional(),
  hard: z.boolean().default(false),
  always_on: z.boolean().default(false),
  enabled: z.boolean().default(true),
  examples: names.default([]),
  guard: z.string().default(""),
  max_fires: z.number().default(0),
  cooldown: z.number().default(0),
  reevaluate_after: names.default([]),
  checks: z.array(z.record(z.string(), z.unknown())).default([]),
});

const stepShape = z.strictObject({
  id: z.string(),
  title: z.string().optional(),
  do: z.string().nullish(),
  tool: z.string().optional(),
  tools: names.default([]),
  waits_for_customer: z.boolean().default(false),
  /** Fields that it asks for; a step that waits collects one named like itself otherwise. */
  collects: names.optional(),
  /** Fields that must be known before it is entered; "name!" must be verified. */
  requires: names.default([]),
  mode: z.string().optional(),
  checkpoint: z.boolean().default(false),
  reachable_from_anywhere: z.boolean().default(false),
  terminal: z.boolean().optional(),
});

const edgeShape = z.strictObject({
  from: z.string(),
  to: z.string(),
  when: z.string().nullish(),
  guard: z.string().default(""),
  priority: z.number().default(0),
  examples: names.default([]),
});

const scenarioShape = z.strictObject({
  id: z.string(),
  title: z.string().optional(),
  description: z.string().optional(),
  triggers: names.default([]),
  examples: names.default([]),
  mode: z.string().optional(),
  priority: z.number().default(0),
  guard: z.string().default(""),
  requires: names.default([]),
  steps: z.array(stepShape).default([]),
  edges: z.array(edgeShape).default([]),
});

const templateShape = z.strictObject({
  id: z.string(),
  text: z.string(),
  mode: z.string().optional(),
  kind: z.enum(["ANSWER", "PREAMBLE", "FALLBACK"]).optional(),
  /** The rule, or the rules, that may say it. */
  rule: texts.optional(),
  scenario: z.string().optional(),
  step: z.string().optional(),
  requires_fields: names.default([]),
  conditions: z.string().default(""),
  priority: z.number().default(0),
});

const variableShape = z.strictObject({
  name: z.string(),
  description: z.string().default(""),
  /** By "customer:ID", "tag:GROUP", "agent:ID", "global". */
  values: z.record(z.string(), z.unknown()).default({}),
  default: z.unknown().optional(),
  tool: z.string().optional(),
  result_path: z.string().optional(),
  freshness: z.string().nullish(),
  cache_seconds: z.number().optional(),
  policy: z
    .enum(["ON_EACH_TURN", "ON_DEMAND", "ON_SCENARIO_ENTRY", "ON_SESSION_START"])
    .default("ON_EACH_TURN"),
});

const toolShape = z.strictObject({
  name: z.string(),
  description: z.string().default(""),
  /** Types by name: "string", "integer", "string?", "DD-MM-YYYY", "a|b", or a JSON schema. */
  params: z
    .record(z.string(), z.union([z.string(), z.record(z.string(), z.unknown())]))
    .default({}),
  required: names.default([]),
  consequential: z.boolean().default(false),
  /** What the server answers; objects as they are, anything else as {"result": it}. */
  returns: z.unknown().optional(),
  /** JSON schema that the answer must keep to. */
  returns_schema: z.record(z.string(), z.unknown()).optional(),
  fields: z.record(z.string(), z.unknown()).default({}),
  returns_rules: z
    .array(
      z.strictObject({
        when: z.string().optional(),
        // oxlint-disable-next-line unicorn/no-thenable -- the same
        then: z.string(),
        priority: z.number().optional(),
      }),
    )
    .default([]),
  returns_variables: z.record(z.string(), z.unknown()).default({}),
  hand_off: z.boolean().default(false),
  lifespan: z.enum(["response", "session"]).optional(),
  idempotent: z.boolean().default(false),
  retries: z.number().default(0),
  /** So many calls fail with this status before one succeeds. */
  fails: z.strictObject({ times: z.number(), status: z.number().default(503) }).optional(),
  /** Argument sources by name, as the tool's `arguments` has them. */
  arguments: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
});

const relationShape = z.strictObject({
  kind: z.enum([
    "priority",
    "overrides",
    "depends_all",
    "depends_any",
    "entails",
    "disambiguates",
    "tools_overlap",
  ]),
  from: z.string(),
  to: texts,
  group: z.string().optional(),
});

const fieldShape = z.strictObject({
  name: z.string(),
  type: z.string().default("string"),
  pattern: z.string().default(""),
  ask: z.string().default(""),
});

const agentShape = z.strictObject({
  description: z.string().nullish(),
  mode: z.string().nullish(),
  fallback: z.string().nullish(),
  max_iterations: z.number().nullish(),
  busy_policy: z.enum(["queue", "reject", "supersede"]).optional(),
  max_step_visits: z.number().optional(),
  rules: z.array(ruleShape).default([]),
  scenario: z.array(scenarioShape).default([]),
  templates: z.array(templateShape).default([]),
  variables: z.array(variableShape).default([]),
  tools: z.array(toolShape).default([]),
  relations: z.array(relationShape).default([]),
  fields: z.array(fieldShape).default([]),
});

const givenShape = z.strictObject({
  matched_rules: names.optional(),
  active_scenarios: names.default([]),
  current_step: z.string().optional(),
  path: names.default([]),
  path_by_scenario: z.record(z.string(), names).default({}),
  applied_rules: names.default([]),
  customer: z.string().optional(),
  customer_tags: names.default([]),
  /** Verified facts of the customer, by field. */
  profile: z.record(z.string(), z.unknown()).default({}),
  /** Facts that nobody verified. */
  profile_unverified: z.record(z.string(), z.unknown()).default({}),
  /** What the conversation has collected, by field. */
  fields: z.record(z.string(), z.unknown()).default({}),
  agent: z.string().optional(),
  session: z.enum(["empty"]).optional(),
  session_mode: z.enum(["manual", "auto"]).default("auto"),
  value_written_at: z.iso.datetime({ offset: true }).optional(),
  now: z.iso.datetime({ offset: true }).optional(),
  tools_down: names.default([]),
  /** Results of tools that earlier turns have left, by tool. */
  tool_results: z.record(z.string(), z.unknown()).default({}),
  /** What the stand-in for a model writes to the customer, in order, the last again and again. */
  model_says: names.default([]),
});

const messageShape = z.strictObject({
  from: z.enum(["customer", "agent"]),
  text: z.string(),
  arrives: z.enum(["during_turn"]).optional(),
  /** Sent and answered for real before the turn under test, instead of being told as history. */
  live: z.boolean().default(false),
  /** The client's key of the message. */
  key: z.string().optional(),
});

const caseShape = z.strictObject({
  id: z.string(),
  area: z.string().default(""),
  title: z.string().default(""),
  tier: z.enum(["D0", "D1", "J"]),
  needs_llm: z.boolean().optional(),
  judge: z.string().nullish(),
  agent: agentShape.prefault({}),
  given: givenShape.prefault({}),
  conversation: z.array(messageShape).default([]),
  expect: z.record(z.string(), z.unknown()).default({}),
  // What people note beside a case.
  source: z.unknown().optional(),
  policy: z.unknown().optional(),
  decision: z.unknown().optional(),
  note: z.unknown().optional(),
});

export type Case = z.output<typeof caseShape>;
export type CaseAgent = Case["agent"];
export type CaseTool = CaseAgent["tools"][number];
export type CaseMessage = Case["conversation"][number];

/** A case, or why it can't be taken; what it names that we don't know is never passed over. */
export type ReadCase =
  | { readonly id: string; readonly title: string; readonly area: string; readonly case: Case }
  | {
      readonly id: string;
      readonly title: string;
      readonly area: string;
      readonly case: undefined;
      readonly problems: readonly string[];
    };

const fileShape = z.looseObject({ cases: z.array(z.unknown()) });
const headShape = z.looseObject({
  id: z.string().catch("?"),
  title: z.string().catch(""),
  area: z.string().catch(""),
});

/** The cases of a file, or a sentence when the file is of another kind. */
export function readCaseFile(path: string): readonly ReadCase[] | string {
  return casesIn(JSON.parse(readFileSync(path, "utf8")), path);
}

export function casesIn(content: unknown, path: string): readonly ReadCase[] | string {
  const file = fileShape.safeParse(content);
  if (!file.success) return `${path} has no list "cases": it is no case file`;
  const conversations = file.data.cases.filter(
    (each) => z.looseObject({ expect: z.unknown(), agent: z.unknown() }).safeParse(each).success,
  );
  const heads = conversations.filter((each) => each instanceof Object && "agent" in each);
  if (file.data.cases.length > 0 && heads.length === 0)
    return `${path} holds cases of another format: none has an agent to talk to`;
  return file.data.cases.map((each) => {
    const { id, title, area } = headShape.catch({ id: "?", title: "", area: "" }).parse(each);
    const read = caseShape.safeParse(each);
    if (read.success) return { id, title, area, case: withImplied(read.data) };
    return { id, title, area, case: undefined, problems: read.error.issues.flatMap(told) };
  });
}

/** Tools that steps and rules name without saying more of them: they take nothing and do it. */
function withImplied(given: Case): Case {
  const { agent } = given;
  const named = [
    ...agent.rules.flatMap(({ tools }) => tools),
    ...agent.scenario.flatMap(({ steps }) =>
      steps.flatMap((each) => [...(each.tool === undefined ? [] : [each.tool]), ...each.tools]),
    ),
    ...agent.variables.flatMap((each) => each.tool ?? []),
  ];
  const known = new Set(agent.tools.map(({ name }) => name));
  const implied = [...new Set(named)].filter((name) => !known.has(name));
  const tools = [...agent.tools, ...implied.map((name) => toolShape.parse({ name }))];
  return { ...given, agent: { ...agent, tools } };
}

function told(issue: z.core.$ZodIssue): string[] {
  const place = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => `cannot check: ${place ? `${place}.` : ""}${key}`);
  return [`cannot read ${place || "the case"}: ${issue.message}`];
}
