import type { DescMessage } from "@bufbuild/protobuf";
import type { Agent } from "@soldier/proto/config/v1/agent";
import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import {
  type Relation,
  type RelationEnd,
  RelationSchema,
  type Rule,
  type RuleGroup,
  RuleGroupSchema,
  RuleSchema,
} from "@soldier/proto/config/v1/rule";
import { type Scenario, ScenarioSchema } from "@soldier/proto/config/v1/scenario";
import {
  type Template,
  TemplateSchema,
  type Variable,
  VariableSchema,
} from "@soldier/proto/config/v1/template";
import {
  type FieldDefinition,
  FieldDefinitionSchema,
  type Tool,
  ToolSchema,
} from "@soldier/proto/config/v1/tool";

/** Anything that a draft is made of, apart from the agent itself. */
export type Resource =
  | Rule
  | RuleGroup
  | Relation
  | Scenario
  | Template
  | Variable
  | Tool
  | FieldDefinition;

/** The collections of a draft, by their names in the contract. */
export type Collection =
  | "rules"
  | "rule_groups"
  | "relations"
  | "scenarios"
  | "templates"
  | "variables"
  | "tools"
  | "field_definitions";

/** A place in a resource that names another resource, by id or by name. */
export interface Reference {
  readonly to: Collection;
  readonly value: string;
  /** Relative to the resource: "steps[2].tool_ids[0]". */
  readonly field: string;
  /** Writes another value into the resource that the reference was read from. */
  put(value: string): void;
}

/** One kind of resource: all that the handlers, the store and the checks need to treat it alike. */
export interface Kind<R extends Resource = Resource> {
  readonly collection: Collection;
  /** "rule group": in sentences and, with _ for the blank, the field of a request. */
  readonly noun: string;
  readonly schema: DescMessage;
  /** The collection's array in the document itself. */
  of(document: AgentDocument): R[];
  /** The document with another array in its place. */
  replaced(document: AgentDocument, resources: R[]): AgentDocument;
  /** Every reference that is set, in the order of the contract. */
  references(resource: R): Reference[];
}

/** One reference in a field of its own; none while the field is empty. */
function one<K extends string>(
  holder: Record<K, string>,
  key: K,
  to: Collection,
  field: string,
): Reference[] {
  const put = (value: string) => {
    (holder as Record<string, string>)[key] = value;
  };
  return holder[key] ? [{ to, value: holder[key], field, put }] : [];
}

/** A list of references. */
function many(list: string[], to: Collection, field: string): Reference[] {
  return list.map((value, index) => ({
    to,
    value,
    field: `${field}[${index}]`,
    put(other) {
      list[index] = other;
    },
  }));
}

const rules: Kind<Rule> = {
  collection: "rules",
  noun: "rule",
  schema: RuleSchema,
  of: (document) => document.rules,
  replaced: (document, all) => ({ ...document, rules: all }),
  references: (rule) => [
    ...one(rule, "scenarioId", "scenarios", "scenario_id"),
    ...many(rule.toolIds, "tools", "tool_ids"),
    ...many(rule.templateIds, "templates", "template_ids"),
    ...many(rule.variableIds, "variables", "variable_ids"),
    ...many(rule.reevaluateAfterToolIds, "tools", "reevaluate_after_tool_ids"),
  ],
};

const ruleGroups: Kind<RuleGroup> = {
  collection: "rule_groups",
  noun: "rule group",
  schema: RuleGroupSchema,
  of: (document) => document.ruleGroups,
  replaced: (document, all) => ({ ...document, ruleGroups: all }),
  references: (group) => many(group.ruleIds, "rules", "rule_ids"),
};

/** What a relation's end may be. */
export const endKinds = {
  ruleId: { to: "rules", field: "rule_id" },
  scenarioId: { to: "scenarios", field: "scenario_id" },
  groupId: { to: "rule_groups", field: "group_id" },
} as const satisfies Record<string, { to: Collection; field: string }>;

function referencesOfEnd(end: RelationEnd | undefined, place: string): Reference[] {
  if (!end?.target.case) return [];
  const kind = endKinds[end.target.case];
  return one(end.target, "value", kind.to, `${place}.${kind.field}`);
}

const relations: Kind<Relation> = {
  collection: "relations",
  noun: "relation",
  schema: RelationSchema,
  of: (document) => document.relations,
  replaced: (document, all) => ({ ...document, relations: all }),
  references: ({ from, to }) => [
    ...referencesOfEnd(from, `from`),
    ...to.flatMap((end, i) => referencesOfEnd(end, `to[${i}]`)),
  ],
};

const scenarios: Kind<Scenario> = {
  collection: "scenarios",
  noun: "scenario",
  schema: ScenarioSchema,
  of: (document) => document.scenarios,
  replaced: (document, all) => ({ ...document, scenarios: all }),
  references: ({ steps }) =>
    steps.flatMap((step, i) => [
      ...many(step.templateIds, "templates", `steps[${i}].template_ids`),
      ...many(step.toolIds, "tools", `steps[${i}].tool_ids`),
    ]),
};

const templates: Kind<Template> = {
  collection: "templates",
  noun: "template",
  schema: TemplateSchema,
  of: (document) => document.templates,
  replaced: (document, all) => ({ ...document, templates: all }),
  references: (template) => one(template, "scenarioId", "scenarios", "scenario_id"),
};

const variables: Kind<Variable> = {
  collection: "variables",
  noun: "variable",
  schema: VariableSchema,
  of: (document) => document.variables,
  replaced: (document, all) => ({ ...document, variables: all }),
  references: (variable) => one(variable, "toolId", "tools", "tool_id"),
};

const tools: Kind<Tool> = {
  collection: "tools",
  noun: "tool",
  schema: ToolSchema,
  of: (document) => document.tools,
  replaced: (document, all) => ({ ...document, tools: all }),
  references: (tool) => many(tool.preferredOverToolIds, "tools", "preferred_over_tool_ids"),
};

const fieldDefinitions: Kind<FieldDefinition> = {
  collection: "field_definitions",
  noun: "field definition",
  schema: FieldDefinitionSchema,
  of: (document) => document.fieldDefinitions,
  replaced: (document, all) => ({ ...document, fieldDefinitions: all }),
  references: () => [],
};

export const kinds = {
  rules,
  rule_groups: ruleGroups,
  relations,
  scenarios,
  templates,
  variables,
  tools,
  field_definitions: fieldDefinitions,
} as const satisfies Record<Collection, unknown>;

/** The kinds with their differences forgotten, for code that treats them alike. */
export const allKinds: readonly Kind[] = Object.values(kinds);

export function kindOf(collection: Collection): Kind {
  return kinds[collection];
}

/** The agent's own reference: the template that it falls back to. */
export function agentReferences(agent: Agent): Reference[] {
  const { settings } = agent;
  return settings
    ? one(settings, "fallbackTemplateId", "templates", "settings.fallback_template_id")
    : [];
}
