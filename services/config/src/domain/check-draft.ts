import type { Agent } from "@soldier/proto/config/v1/agent";
import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { isId } from "@soldier/kernel/ids";
import { checkRelations } from "./check-relations.ts";
import { checkRule } from "./check-rule.ts";
import { checkScenario } from "./check-scenario.ts";
import { checkReplyModes, checkTemplateResource, templateUse } from "./check-template.ts";
import { checkPreferences } from "./check-preferences.ts";
import { checkFieldDefinition, checkTool } from "./check-tool.ts";
import { checkVariable } from "./check-variable.ts";
import { draftIndex, placeOf } from "./draft-index.ts";
import { allKinds } from "./kinds.ts";
import { type Notes, notesOn, type Problem } from "./problem.ts";
import { vocabularyOf } from "./vocabulary.ts";

/**
 * Everything that is wrong with a draft whose references are ids, warnings too, but for references
 * that lead nowhere: those withIds() tells.
 */
export function problemsOf(draft: AgentDocument): readonly Problem[] {
  const problems: Problem[] = [];
  const known = vocabularyOf(draft);
  const index = draftIndex(draft);
  const use = templateUse(draft);
  const each = <R extends { readonly name: string }>(
    collection: Parameters<typeof placeOf>[0],
    resources: readonly R[],
    check: (resource: R, notes: Notes) => void,
  ) => {
    for (const resource of resources)
      check(resource, notesOn(`${collection}/${resource.name}`, problems));
  };
  if (draft.agent) checkAgent(draft.agent, notesOn("agent", problems));
  checkNames(draft, problems);
  checkReplyModes(draft, (place) => notesOn(place, problems));
  each("rules", draft.rules, (rule, notes) => checkRule(rule, notes, known, index));
  each("scenarios", draft.scenarios, (scenario, notes) => checkScenario(scenario, notes, known));
  each("templates", draft.templates, (template, notes) =>
    checkTemplateResource(template, notes, known, index, use),
  );
  const tools = new Map(draft.tools.map((tool) => [tool.id, tool]));
  each("variables", draft.variables, (variable, notes) => checkVariable(variable, notes, tools));
  each("tools", draft.tools, (tool, notes) => checkTool(tool, notes, known));
  each("field_definitions", draft.fieldDefinitions, checkFieldDefinition);
  return [...problems, ...checkPreferences(draft.tools), ...checkRelations(draft, index)];
}

function checkAgent(agent: Agent, notes: Notes): void {
  const { settings } = agent;
  const model = settings?.generation?.model;
  if (model && !/^[a-z][a-z0-9_-]*:\S+$/.test(model))
    notes.wrong("settings.generation.model", "MODEL_INVALID", 'must be like "provider:name"');
  const selections = {
    rule_selection: settings?.ruleSelection,
    scenario_selection: settings?.scenarioSelection,
    memory_selection: settings?.memorySelection,
  };
  for (const [name, selection] of Object.entries(selections))
    if (![0, 3].includes(selection?.entropyKs.length ?? 0))
      notes.wrong(`settings.${name}.entropy_ks`, "SELECTION_INVALID", "takes three numbers");
  const { turnTimeout } = settings ?? {};
  if (turnTimeout && turnTimeout.seconds <= 0n && turnTimeout.nanos <= 0)
    notes.wrong("settings.turn_timeout", "TIMEOUT_INVALID", "must be longer than nothing");
}

function checkNames(draft: AgentDocument, problems: Problem[]): void {
  for (const kind of allKinds) {
    const seen = new Set<string>();
    for (const resource of kind.of(draft)) {
      const notes = notesOn(placeOf(kind.collection, resource), problems);
      if (!resource.name) notes.wrong("name", "NAME_MISSING", `a ${kind.noun} needs a name`);
      else if (seen.has(resource.name))
        notes.wrong("name", "DUPLICATE_NAME", `two ${kind.noun}s are called "${resource.name}"`);
      else if (isId(resource.name))
        notes.wrong("name", "NAME_INVALID", "looks like an id; references could mean either");
      seen.add(resource.name);
    }
  }
}
