import { clone } from "@bufbuild/protobuf";
import type { AgentDocument } from "@soldier/proto/config/v1/config_service";
import {
  type Relation,
  type RelationEnd,
  RelationKindSchema,
  RelationSchema,
} from "@soldier/proto/config/v1/rule";
import { type Scenario, ScenarioSchema, type Step } from "@soldier/proto/config/v1/scenario";
import { sha256 } from "./canonical.ts";
import { draftIndex, type DraftIndex } from "./draft-index.ts";
import { endKinds } from "./kinds.ts";

/** Longest name of a relation; the contract's limit. */
const relationNameMax = 200;

/**
 * The document with what authors may leave out filled in: names of relations, ids of transitions,
 * entry steps. What is complete stays the same object.
 */
export function completed(document: AgentDocument): AgentDocument {
  const index = draftIndex(document);
  return {
    ...document,
    relations: document.relations.map((relation) =>
      relation.name ? relation : named(relation, index),
    ),
    scenarios: document.scenarios.map((scenario) =>
      isComplete(scenario) ? scenario : filledIn(scenario),
    ),
  };
}

/** "overrides:refund:greet" after the names of the ends, so that the same relation keeps its name. */
function named(relation: Relation, index: DraftIndex): Relation {
  const copy = clone(RelationSchema, relation);
  const ends = [relation.from, ...relation.to].map((end) => nameOf(end, index));
  const kind = RelationKindSchema.value[relation.kind]?.localName.toLowerCase();
  const name = [kind, ...ends].join(":");
  copy.name =
    name.length <= relationNameMax
      ? name
      : `${name.slice(0, relationNameMax - 17)}:${sha256(name).slice(0, 16)}`;
  return copy;
}

function nameOf(end: RelationEnd | undefined, index: DraftIndex): string {
  if (!end?.target.case) return "";
  return index.find(endKinds[end.target.case].to, end.target.value)?.name ?? end.target.value;
}

function isComplete(scenario: Scenario): boolean {
  return (
    scenario.entryStepId !== "" &&
    scenario.steps.every((step) => step.transitions.every(({ id }) => id))
  );
}

function filledIn(scenario: Scenario): Scenario {
  const copy = clone(ScenarioSchema, scenario);
  copy.entryStepId ||= copy.steps[0]?.id ?? "";
  for (const step of copy.steps) nameTransitions(step);
  return copy;
}

/** A transition is called after its target; the second one to the same target gets "-2". */
function nameTransitions(step: Step): void {
  const taken = new Set(step.transitions.map(({ id }) => id));
  for (const transition of step.transitions) {
    if (transition.id) continue;
    let id = transition.toStepId;
    for (let n = 2; taken.has(id); n++) id = `${transition.toStepId}-${n}`;
    taken.add(id);
    transition.id = id;
  }
}
