import type { MessageInitShape } from "@bufbuild/protobuf";
import type { StepSchema } from "@soldier/proto/config/v1/scenario";
import type { Case } from "./case-file.ts";
import type { Document } from "./document.ts";
import { modeOf } from "./engine-words.ts";
import type { CaseNames } from "./names.ts";
import { entrySteps, neverSaid, onlyStep, type Plan } from "./plan.ts";

type CaseScenario = Case["agent"]["scenario"][number];
type Scenarios = NonNullable<Document["scenarios"]>;
type Step = MessageInitShape<typeof StepSchema>;
type Steps = Step[];
type Transitions = NonNullable<Step["transitions"]>;

/** The end of a scenario in which a session shall be able to stay. */
const hiddenEnd = "hidden-end";

export function scenariosOf(plan: Plan, names: CaseNames): Scenarios {
  const { things, values } = names;
  return plan.case.agent.scenario.map((scenario, i) => {
    const starts = plan.starts.includes(scenario.id);
    const given = plan.case.tier === "D0" && !starts && scenario.examples.length === 0;
    const natural = scenario.triggers.join(" or ") || scenario.title || scenario.id;
    return {
      name: things.of(scenario.id),
      description: scenario.description ?? scenario.title ?? "",
      entryCondition: given ? neverSaid(20 + i) : natural,
      entryExamples: [...scenario.examples, ...(starts ? plan.liveTexts.slice(0, 1) : [])],
      entryGuard: scenario.guard,
      requiredFields: scenario.requires.map((name) => values.of(name)),
      priority: scenario.priority,
      replyMode: modeOf(scenario.mode),
      entryStepId: things.of(entryOf(scenario)),
      steps: stepsOf(scenario, plan, names),
    };
  });
}

/** Where a scenario begins; several beginnings hang on a step that only leads to them. */
function entryOf(scenario: CaseScenario): string {
  const [first = onlyStep, ...others] = entrySteps(scenario);
  return others.length > 0 ? onlyStep : first;
}

function stepsOf(scenario: CaseScenario, plan: Plan, { things, values }: CaseNames): Steps {
  const leaving = (id: string): Transitions =>
    scenario.edges
      .filter(({ from }) => from === id)
      .map(({ to, when, guard, priority, examples }) => ({
        toStepId: things.of(to),
        condition: when ?? "",
        guard,
        priority,
        examples,
      }));
  const isHeld = (id: string) => plan.place?.scenario === scenario.id && plan.place.step === id;
  const isEnd = (step: CaseScenario["steps"][number]) =>
    step.terminal ?? (leaving(step.id).length === 0 && !isHeld(step.id));
  // A scenario needs an end that can be reached, though nobody will say what leads there.
  const endless = !scenario.steps.some(isEnd);
  const toEnd = [{ toStepId: hiddenEnd, condition: neverSaid(50) }];
  const last = scenario.steps.at(-1);
  const own: Steps = scenario.steps.map((step) => ({
    id: things.of(step.id),
    name: step.id,
    instructions: step.do ?? step.title ?? "",
    collects: collectedBy(step, scenario).map((name) => values.of(name)),
    requiredFields: step.requires.map((name) => ({
      field: values.of(name.replace(/!$/, "")),
      verified: name.endsWith("!"),
    })),
    toolIds: [...(step.tool === undefined ? [] : [step.tool]), ...step.tools].map((name) =>
      things.of(name),
    ),
    replyMode: modeOf(step.mode),
    skippable: step.waits_for_customer,
    checkpoint: step.checkpoint,
    reachableFromAnywhere: step.reachable_from_anywhere,
    terminal: isEnd(step),
    transitions: [
      ...leaving(step.id),
      ...(endless && (isHeld(step.id) || step === last) ? toEnd : []),
    ],
  }));
  const hasOwnStart = entryOf(scenario) !== onlyStep;
  const begin: Steps = hasOwnStart
    ? []
    : [{ id: things.of(onlyStep), transitions: own.length > 0 ? leaving("START") : toEnd }];
  return [...begin, ...own, ...(endless ? [{ id: hiddenEnd, terminal: true }] : [])];
}

/** What a step asks for: what it says, or its own name when any answer leads on. */
export function collectedBy(
  step: CaseScenario["steps"][number],
  { edges }: CaseScenario,
): readonly string[] {
  if (step.collects) return step.collects;
  const decides = edges.some(({ from, when, guard }) => from === step.id && (when || guard));
  return step.waits_for_customer && !decides ? [step.id] : [];
}
