import { parseTemplate, type TemplatePart } from "@soldier/kernel/template-text";
import type { Agent } from "@soldier/proto/config/v1/agent";
import type { Bundle, EmbeddingTable } from "@soldier/proto/config/v1/bundle";
import type { Rule } from "@soldier/proto/config/v1/rule";
import type { Scenario, Step, Transition } from "@soldier/proto/config/v1/scenario";
import type { Template, Variable, VariableValue } from "@soldier/proto/config/v1/template";
import type { FieldDefinition, Tool } from "@soldier/proto/config/v1/tool";
import { type Matchable, matchedTexts, type MatchedText } from "@soldier/retrieval/condition-text";
import { commonVector, type MatchIndex } from "@soldier/retrieval/match-index";
import { type Expressions, expressions } from "./expressions.ts";
import { indexOf, vectorsFor, type VectorOf } from "./matchable.ts";
import { type RelationIndex, relationIndex } from "./relation-index.ts";
import { type TurnDefaults, type TurnSettings, turnSettings } from "./turn-settings.ts";

/** A published version made ready for turns: looked up, indexed and parsed once, then only read. */
export interface CompiledBundle {
  readonly tenantId: string;
  readonly agentId: string;
  readonly version: number;
  readonly agent: Agent;
  readonly settings: TurnSettings;
  readonly rules: readonly Rule[];
  readonly rulesById: ReadonlyMap<string, Rule>;
  /** In the order of `rules`. */
  readonly ruleIndex: MatchIndex;
  readonly relations: RelationIndex;
  readonly scenarios: readonly CompiledScenario[];
  readonly scenariosById: ReadonlyMap<string, CompiledScenario>;
  /** In the order of `scenarios`. */
  readonly entryIndex: MatchIndex;
  readonly templatesById: ReadonlyMap<string, CompiledTemplate>;
  /** Templates that no rule and no step names: they speak for a place or a moment. */
  readonly unnamedTemplates: readonly CompiledTemplate[];
  readonly toolsById: ReadonlyMap<string, Tool>;
  readonly variables: ReadonlyMap<string, Variable>;
  readonly variableValues: ValuesByVariable;
  readonly fields: ReadonlyMap<string, FieldDefinition>;
  readonly expressions: Expressions;
}

/** What variables are set to, by the variable's name. Belongs to no version: it changes under it. */
export type ValuesByVariable = ReadonlyMap<string, readonly VariableValue[]>;

export interface CompiledScenario {
  readonly scenario: Scenario;
  readonly steps: ReadonlyMap<string, Step>;
  readonly entry: Step | undefined;
  /** In the author's order. */
  readonly edges: readonly Edge[];
  /** In the order of `edges`. */
  readonly edgeIndex: MatchIndex;
}

/** A transition with the step that it leaves. */
export interface Edge {
  readonly id: string;
  readonly fromStepId: string;
  readonly toStepId: string;
  readonly transition: Transition;
}

export interface CompiledTemplate {
  readonly template: Template;
  /** Empty when the text can't be parsed, which publishing refuses. */
  readonly parts: readonly TemplatePart[];
}

/** Every text of a bundle that messages are compared with. */
export function textsToMatch(bundle: Bundle): readonly MatchedText[] {
  return matchedTexts(matchablesOf(bundle));
}

function matchablesOf({ rules, scenarios }: Bundle): readonly Matchable[] {
  return [
    ...rules,
    ...scenarios.map(entryOf),
    ...scenarios.flatMap(({ steps }) => steps.flatMap(({ transitions }) => transitions)),
  ];
}

/** The vectors that came with a bundle, by text, as views of one array. */
export function vectorsOf(table: EmbeddingTable): ReadonlyMap<string, Float32Array> {
  const { texts, dimensions, vectors } = table;
  // Copied, because a message's bytes need not begin at a multiple of four.
  const rows = new Float32Array(vectors.slice().buffer);
  return new Map(
    texts.map((text, row) => [text, rows.subarray(row * dimensions, (row + 1) * dimensions)]),
  );
}

export function compileBundle(
  bundle: Bundle,
  defaults: TurnDefaults,
  dimensions: number,
  vectorOf: VectorOf,
): CompiledBundle {
  const { agent } = bundle;
  if (!agent) throw new Error(`bundle ${bundle.agentId} version ${bundle.version} has no agent`);
  const common = commonVector(
    matchablesOf(bundle).flatMap((each) => vectorsFor(each, vectorOf)),
    dimensions,
  );
  const index = (matchables: readonly Matchable[]) =>
    indexOf(matchables, dimensions, vectorOf, common);
  const scenarios = bundle.scenarios.map((scenario) => compiled(scenario, index));
  const templates = bundle.templates.map((template) => ({ template, parts: partsOf(template) }));
  const named = new Set([
    ...bundle.rules.flatMap(({ templateIds }) => templateIds),
    ...bundle.scenarios.flatMap(({ steps }) => steps.flatMap(({ templateIds }) => templateIds)),
  ]);
  return {
    tenantId: bundle.tenantId,
    agentId: bundle.agentId,
    version: Number(bundle.version),
    agent,
    settings: turnSettings(agent.settings, defaults),
    rules: bundle.rules,
    rulesById: byId(bundle.rules),
    ruleIndex: index(bundle.rules),
    relations: relationIndex(bundle),
    scenarios,
    scenariosById: new Map(scenarios.map((made) => [made.scenario.id, made])),
    entryIndex: index(bundle.scenarios.map(entryOf)),
    templatesById: new Map(templates.map((made) => [made.template.id, made])),
    unnamedTemplates: templates.filter(({ template }) => !named.has(template.id)),
    toolsById: byId(bundle.tools),
    variables: new Map(bundle.variables.map((variable) => [variable.name, variable])),
    variableValues: new Map(), // they come beside the bundle
    fields: new Map(bundle.fieldDefinitions.map((field) => [field.name, field])),
    expressions: expressions(),
  };
}

export function valuesByVariable(values: readonly VariableValue[]): ValuesByVariable {
  return Map.groupBy(values, ({ variable }) => variable);
}

function compiled(
  scenario: Scenario,
  index: (matchables: readonly Matchable[]) => MatchIndex,
): CompiledScenario {
  const edges = scenario.steps.flatMap((step) =>
    step.transitions.map((transition) => ({
      id: transition.id || `${step.id}-${transition.toStepId}`,
      fromStepId: step.id,
      toStepId: transition.toStepId,
      transition,
    })),
  );
  const steps = new Map(scenario.steps.map((step) => [step.id, step]));
  return {
    scenario,
    steps,
    entry: steps.get(scenario.entryStepId) ?? scenario.steps[0],
    edges,
    edgeIndex: index(edges.map(({ transition }) => transition)),
  };
}

function entryOf(scenario: Scenario): Matchable {
  return { condition: scenario.entryCondition, examples: scenario.entryExamples };
}

function partsOf({ text }: Template): readonly TemplatePart[] {
  try {
    return parseTemplate(text);
  } catch {
    return []; // Publishing refuses such a text; without parts the template is not eligible.
  }
}

function byId<T extends { readonly id: string }>(things: readonly T[]): ReadonlyMap<string, T> {
  return new Map(things.map((thing) => [thing.id, thing]));
}
