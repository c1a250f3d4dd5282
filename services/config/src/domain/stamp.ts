import { clone, toJson } from "@bufbuild/protobuf";
import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import { type Rule, Scope } from "@soldier/proto/config/v1/rule";
import {
  type Scenario,
  ScenarioSchema,
  type Step,
  StepSchema,
  type Transition,
  TransitionSchema,
} from "@soldier/proto/config/v1/scenario";
import { canonical, sha256 } from "./canonical.ts";
import { actingPart } from "./meaning.ts";

/**
 * The draft with the hashes and versions of its scenarios. A scenario's version is one more than
 * it was in `before` when its hash has changed. What was right already stays the same object.
 */
export function stamped(draft: AgentDocument, before: AgentDocument): AgentDocument {
  const earlier = new Map(before.scenarios.map((scenario) => [scenario.id, scenario]));
  return {
    ...draft,
    scenarios: draft.scenarios.map((scenario) => {
      const scoped = draft.rules.filter(({ scenarioId }) => scenarioId === scenario.id);
      return stampedScenario(scenario, scoped, earlier.get(scenario.id));
    }),
  };
}

function stampedScenario(
  scenario: Scenario,
  rules: readonly Rule[],
  before: Scenario | undefined,
): Scenario {
  const steps = scenario.steps.map((step) =>
    stepHash(
      step,
      rules.filter((rule) => rule.scope === Scope.STEP && rule.stepId === step.id),
    ),
  );
  const hash = scenarioHash(
    scenario,
    steps,
    rules.filter((rule) => rule.scope === Scope.SCENARIO),
  );
  const isSame = before?.contentHash === hash;
  const version = (before?.version ?? 0n) + (isSame ? 0n : 1n);
  const isStamped =
    scenario.contentHash === hash &&
    scenario.version === version &&
    scenario.steps.every((step, i) => step.contentHash === steps[i]);
  if (isStamped) return scenario;
  const copy = clone(ScenarioSchema, scenario);
  copy.contentHash = hash;
  copy.version = version;
  for (const [i, step] of copy.steps.entries()) step.contentHash = steps[i] ?? "";
  return copy;
}

/**
 * A step is the same step as long as it means the same to the customer, wherever in the graph it
 * is and whatever it is called: its id, name and ways out don't count.
 */
function stepHash(step: Step, rules: readonly Rule[]): string {
  const meaning = { ...step, id: "", name: "", contentHash: "", transitions: [] };
  return sha256(canonical([toJson(StepSchema, meaning), rules.map(actingPart).toSorted()]));
}

/** Names, descriptions and being disabled don't count: no session in it is concerned. */
function scenarioHash(
  scenario: Scenario,
  steps: readonly string[],
  rules: readonly Rule[],
): string {
  const { entryCondition, entryExamples, entryGuard, requiredFields, entryStepId, priority } =
    scenario;
  // Only where it is set, so that scenarios from before there were reply modes keep their hash.
  const mode = scenario.replyMode ? [scenario.replyMode] : [];
  const graph = scenario.steps.map((step, i) => [
    step.id,
    steps[i] ?? "",
    step.transitions.map((transition: Transition) => toJson(TransitionSchema, transition)),
  ]);
  const entry = [
    entryCondition,
    entryExamples,
    entryGuard,
    requiredFields,
    entryStepId,
    priority,
    ...mode,
  ];
  return sha256(canonical([entry, graph, rules.map(actingPart).toSorted()]));
}
