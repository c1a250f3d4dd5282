import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { AgentSchema } from "@soldier/proto/config/v1/agent";
import type { AgentDocumentSchema } from "@soldier/proto/config/v1/config_service";
import {
  GroupMode,
  RelationKind,
  type RelationSchema,
  type RuleGroupSchema,
  type RuleSchema,
} from "@soldier/proto/config/v1/rule";
import type { ScenarioSchema } from "@soldier/proto/config/v1/scenario";
import {
  TemplateMode,
  type TemplateSchema,
  type VariableSchema,
} from "@soldier/proto/config/v1/template";
import type { FieldDefinitionSchema, ToolSchema } from "@soldier/proto/config/v1/tool";
import type { Voice } from "./voice.ts";

/**
 * Which of its kind: "main" is used by others, "spare" by nobody, so that it can be deleted, and
 * "new" is not there yet.
 */
export type Which = "main" | "other" | "spare" | "new";

/** A resource of each kind, with a text in every field that takes one. */
export function agent({ name, text }: Voice, which: Which): MessageInitShape<typeof AgentSchema> {
  return {
    slug: name(`agent_${which}`),
    name: text("agent's name"),
    instructions: text("agent's instructions"),
  };
}

export function rule({ name, text }: Voice, which: Which): MessageInitShape<typeof RuleSchema> {
  return {
    name: name(`rule_${which}`),
    condition: text(`condition of ${which}`),
    action: text("action"),
    examples: [text(`example of ${which}`)],
    guard: `"${text("guard")}" != ""`,
    checks: [{ kind: { case: "mustNotInclude", value: text("forbidden words") } }],
    tags: [text("tag")],
    ...(which === "main" && { templateIds: [name("template_main")] }),
  };
}

export function ruleGroup({ name }: Voice, which: Which): MessageInitShape<typeof RuleGroupSchema> {
  return { name: name(`rule_group_${which}`), mode: GroupMode.ANY, ruleIds: [name("rule_main")] };
}

const relationKinds: Record<Which, RelationKind> = {
  main: RelationKind.ENTAILS,
  other: RelationKind.DEPENDS_ANY,
  spare: RelationKind.OVERRIDES,
  new: RelationKind.DEPENDS_ALL,
};

export function relation({ name }: Voice, which: Which): MessageInitShape<typeof RelationSchema> {
  return {
    name: name(`relation_${which}`),
    kind: relationKinds[which],
    from: { target: { case: "ruleId", value: name("rule_main") } },
    to: [{ target: { case: "ruleId", value: name("rule_other") } }],
  };
}

export function scenario(
  { name, text }: Voice,
  which: Which,
): MessageInitShape<typeof ScenarioSchema> {
  return {
    name: name(`scenario_${which}`),
    description: text("scenario's description"),
    entryCondition: text(`entry of ${which}`),
    entryExamples: [text(`entry example of ${which}`)],
    steps: [
      {
        id: name("step"),
        name: text("step's name"),
        instructions: text("step's instructions"),
        transitions: [
          { toStepId: name("step_end"), condition: text("transition"), examples: [text("way")] },
        ],
      },
      { id: name("step_end"), instructions: text("end's instructions"), terminal: true },
    ],
  };
}

export function template(
  { name, text }: Voice,
  which: Which,
): MessageInitShape<typeof TemplateSchema> {
  return {
    name: name(`template_${which}`),
    mode: TemplateMode.EXCLUSIVE,
    text: text("template's text"),
  };
}

export function variable(
  { name, text }: Voice,
  which: Which,
): MessageInitShape<typeof VariableSchema> {
  return {
    name: name(`variable_${which}`),
    description: text("variable's description"),
    defaultValue: { kind: { case: "stringValue", value: text("variable's default") } },
  };
}

export function tool({ name, text }: Voice, which: Which): MessageInitShape<typeof ToolSchema> {
  const schema: JsonObject = {
    type: "object",
    properties: { what: { type: "string", description: text("argument's description") } },
  };
  return {
    name: name(`tool_${which}`),
    description: text("tool's description"),
    inputSchema: schema,
    kind: {
      case: "http",
      value: {
        method: "POST",
        url: `https://tools.example/${name("path")}`,
        headers: { "x-about": text("header") },
      },
    },
  };
}

export function fieldDefinition(
  { name, text }: Voice,
  which: Which,
): MessageInitShape<typeof FieldDefinitionSchema> {
  return {
    name: name(`field_${which}`),
    label: text("label"),
    collectionPrompt: text("collection prompt"),
    extractionHint: text("extraction hint"),
  };
}

/** All of an agent; "new" of nothing. */
export function document(voice: Voice): MessageInitShape<typeof AgentDocumentSchema> {
  const two = ["main", "spare"] as const;
  return {
    agent: agent(voice, "main"),
    rules: (["main", "other", "spare"] as const).map((which) => rule(voice, which)),
    ruleGroups: two.map((which) => ruleGroup(voice, which)),
    relations: two.map((which) => relation(voice, which)),
    scenarios: two.map((which) => scenario(voice, which)),
    templates: two.map((which) => template(voice, which)),
    variables: two.map((which) => variable(voice, which)),
    tools: two.map((which) => tool(voice, which)),
    fieldDefinitions: two.map((which) => fieldDefinition(voice, which)),
  };
}
