import type { MessageInitShape } from "@bufbuild/protobuf";
import { BusyPolicy, SelectionKind } from "@soldier/proto/config/v1/agent";
import type { AgentDocumentSchema } from "@soldier/proto/config/v1/config_service";
import { RuleApplication, Scope } from "@soldier/proto/config/v1/rule";
import { TemplateKind, TemplateMode, VariablePolicy } from "@soldier/proto/config/v1/template";
import type { CaseAgent } from "./case-file.ts";
import { fieldsOf } from "./document-fields.ts";
import { groupsOf, relationsOf } from "./document-relations.ts";
import { scenariosOf } from "./document-scenarios.ts";
import { toolsOf } from "./document-tools.ts";
import { CannotBuild, modeOf, valueOf } from "./engine-words.ts";
import type { CaseNames } from "./names.ts";
import { neverSaid, type Plan } from "./plan.ts";

export type Document = MessageInitShape<typeof AgentDocumentSchema>;
type List<K extends "rules" | "templates" | "variables"> = NonNullable<Document[K]>;

/** A template that says what variables are, so that their values can be seen. */
export const probe = "case-probe";

/** A case's agent as the config service takes it. `toolsUrl` is where its tools answer. */
export function documentOf(plan: Plan, names: CaseNames, toolsUrl: string): Document {
  const { agent } = plan.case;
  return {
    agent: {
      slug: "desk",
      name: "Desk",
      instructions: agent.description ?? "",
      settings: settingsOf(agent, names),
    },
    rules: [...rulesOf(plan, names), ...probeRule(plan)],
    ruleGroups: groupsOf(agent, names),
    relations: relationsOf(agent, names),
    scenarios: scenariosOf(plan, names),
    templates: [...templatesOf(agent, names), ...probeTemplate(plan, names)],
    variables: variablesOf(agent, names),
    tools: toolsOf(agent, names, toolsUrl),
    fieldDefinitions: fieldsOf(plan.case, names),
  };
}

const everything = { kind: SelectionKind.FIXED_K, k: 1_000, maxK: 1_000, minK: 0, minScore: 0 };

const busyPolicies = {
  queue: BusyPolicy.QUEUE,
  reject: BusyPolicy.REJECT,
  supersede: BusyPolicy.SUPERSEDE,
} as const;

function settingsOf(agent: CaseAgent, { things }: CaseNames) {
  return {
    // What a case is about is whether a rule applies, not whether it is among the best ten.
    ruleSelection: everything,
    scenarioSelection: everything,
    busyPolicy: busyPolicies[agent.busy_policy ?? "supersede"],
    replyMode: modeOf(agent.mode),
    ...(agent.fallback && { fallbackTemplateId: things.of("fallback") }),
    navigation: {
      ...(agent.max_iterations != null && { autoAdvanceMax: agent.max_iterations }),
      ...(agent.max_step_visits !== undefined && { stepVisitsMax: agent.max_step_visits }),
    },
  };
}

const applications = {
  CONTINUOUS: RuleApplication.CONTINUOUS,
  ONE_SHOT: RuleApplication.ONE_SHOT,
  CUSTOMER_DEPENDENT: RuleApplication.CUSTOMER_DEPENDENT,
} as const;

function rulesOf(plan: Plan, { things }: CaseNames): List<"rules"> {
  const { agent, given } = plan.case;
  return agent.rules.map((rule, i) => {
    const matched = given.matched_rules?.includes(rule.id);
    const tracking =
      rule.tracking ?? (given.applied_rules.includes(rule.id) ? "ONE_SHOT" : undefined);
    return {
      name: things.of(rule.id),
      condition: matched === false ? neverSaid(i) : (rule.when ?? ""),
      examples: [...rule.examples, ...(matched ? plan.liveTexts : [])],
      action: rule.then ?? "",
      priority: rule.priority,
      hardConstraint: rule.hard,
      alwaysOn: rule.always_on,
      disabled: !rule.enabled,
      guard: rule.guard,
      tags: rule.tags,
      firesPerSessionMax: rule.max_fires,
      cooldownTurns: rule.cooldown,
      toolIds: rule.tools.map((name) => things.of(name)),
      reevaluateAfterToolIds: rule.reevaluate_after.map((name) => things.of(name)),
      templateIds: agent.templates
        .filter(
          (template) => template.rule?.includes(rule.id) || rule.templates.includes(template.id),
        )
        .map(({ id }) => things.of(id)),
      checks: rule.checks.map((check) => ({ kind: checkKind(check) })),
      ...(tracking && { application: applications[tracking] }),
      ...scopeOf(rule.scope, rule.scope_ref, agent, things),
    };
  });
}

type CheckKind = NonNullable<
  NonNullable<NonNullable<List<"rules">[number]["checks"]>[number]["kind"]>
>;

function checkKind(check: Readonly<Record<string, unknown>>): CheckKind {
  const [[kind, value] = ["", undefined]] = Object.entries(check);
  if (kind === "length_max" && typeof value === "number") return { case: "lengthMax", value };
  const text = String(value);
  if (kind === "must_include") return { case: "mustInclude", value: text };
  if (kind === "must_not_include") return { case: "mustNotInclude", value: text };
  if (kind === "must_match") return { case: "mustMatch", value: text };
  if (kind === "must_not_match") return { case: "mustNotMatch", value: text };
  if (kind === "expression") return { case: "expression", value: text };
  if (kind === "judge") return { case: "judge", value: text };
  throw new CannotBuild(`check ${kind}`);
}

function scopeOf(
  scope: "GLOBAL" | "SCENARIO" | "STEP",
  ref: string | undefined,
  agent: CaseAgent,
  things: CaseNames["things"],
) {
  if (scope === "GLOBAL" || ref === undefined) return {};
  const whole = agent.scenario.find(({ id }) => id === ref);
  if (whole) return { scope: Scope.SCENARIO, scenarioId: things.of(whole.id) };
  const home = agent.scenario.find(({ steps }) => steps.some(({ id }) => id === ref));
  if (!home) throw new CannotBuild(`scope_ref ${ref}`);
  return { scope: Scope.STEP, scenarioId: things.of(home.id), stepId: things.of(ref) };
}

function templatesOf(agent: CaseAgent, names: CaseNames): List<"templates"> {
  const { things, values } = names;
  const own = agent.templates.map((template) => ({
    name: things.of(template.id),
    text: asTemplate(template.text, agent, names),
    mode: template.kind === "FALLBACK" ? TemplateMode.FALLBACK : modeOf(template.mode),
    kind: template.kind === "PREAMBLE" ? TemplateKind.PREAMBLE : TemplateKind.UNSPECIFIED,
    requiredNames: template.requires_fields.map((name) =>
      isVariable(name, agent) ? values.of(name) : name,
    ),
    conditions: template.conditions,
    priority: template.priority,
    ...(template.step !== undefined
      ? scopeOf("STEP", template.step, agent, things)
      : scopeOf("SCENARIO", template.scenario, agent, things)),
  }));
  if (!agent.fallback) return own;
  return [
    ...own,
    { name: things.of("fallback"), text: agent.fallback, mode: TemplateMode.FALLBACK },
  ];
}

function isVariable(name: string, agent: CaseAgent): boolean {
  return agent.variables.some((variable) => variable.name === name);
}

/** {{x}} of a case is {x} of a template. */
function asTemplate(text: string, agent: CaseAgent, { values }: CaseNames): string {
  return text.replaceAll(/\{\{\s*([^{}]+?)\s*\}\}/g, (_, name: string) =>
    isVariable(name, agent) ? `{${values.of(name)}}` : `{${name}}`,
  );
}

const policies = {
  ON_EACH_TURN: VariablePolicy.ON_EACH_TURN,
  ON_DEMAND: VariablePolicy.ON_DEMAND,
  ON_SCENARIO_ENTRY: VariablePolicy.ON_SCENARIO_ENTRY,
  ON_SESSION_START: VariablePolicy.ON_SESSION_START,
} as const;

function variablesOf(agent: CaseAgent, { things, values }: CaseNames): List<"variables"> {
  return agent.variables.map((variable) => {
    const tool = agent.tools.find(({ name }) => name === variable.tool);
    const wrapped = tool !== undefined && !(tool.returns instanceof Object);
    return {
      name: values.of(variable.name),
      description: variable.description || variable.name,
      toolId: variable.tool === undefined ? "" : things.of(variable.tool),
      resultPath: variable.result_path ?? (wrapped ? "result" : ""),
      policy: policies[variable.policy],
      refreshCron: variable.freshness ?? "",
      ...(variable.cache_seconds !== undefined && {
        cacheTtl: { seconds: BigInt(variable.cache_seconds) },
      }),
      ...(variable.default !== undefined && { defaultValue: valueOf(variable.default) }),
    };
  });
}

function probeRule({ probed, liveTexts }: Plan): List<"rules"> {
  if (probed.length === 0) return [];
  return [
    {
      name: probe,
      condition: "the values are looked at",
      examples: [...liveTexts],
      templateIds: [probe],
    },
  ];
}

function probeTemplate({ probed }: Plan, { values }: CaseNames): List<"templates"> {
  if (probed.length === 0) return [];
  const text = probed.map((name) => `${values.of(name)}={${values.of(name)}}`).join("\n");
  return [{ name: probe, text, mode: TemplateMode.EXCLUSIVE }];
}
