import { create } from "@bufbuild/protobuf";
import {
  ScenarioPositionSchema,
  type StepVisit,
  VisitReason,
} from "@soldier/proto/session/v1/session";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { goOn, navigate } from "./navigation.ts";
import type { Navigation, NavigationQuestion } from "./navigation-question.ts";
import { asking, type StepInit } from "./testing-navigation.ts";
import { visitsOfRun } from "./visits.ts";

const ids = ["s0", "s1", "s2", "s3", "s4", "s5"];
const fields = ["x", "y"];
const share = fc.constantFrom(0, 0.2, 0.4, 0.66, 0.7, 0.8, 0.95);

const edge = (n: number) =>
  fc.record({
    toStepId: fc.constantFrom(...ids.slice(0, n), "nowhere"),
    condition: fc.constantFrom("", "", "says so"),
    guard: fc.constantFrom("", "", "fields.x == 1", "shut", "has(results.t)"),
    priority: fc.constantFrom(0, 0, 5),
  });

const stepOf = (n: number, id: string) =>
  fc
    .record({
      instructions: fc.constantFrom("", "Do it."),
      collects: fc.subarray(fields),
      requiredFields: fc
        .subarray(fields, { maxLength: 1 })
        .chain((some) =>
          fc.record({
            some: fc.constant(some),
            verified: fc.boolean(),
            on: fc.integer({ max: 3, min: 0 }),
          }),
        )
        .map(({ some, verified, on }) =>
          on > 0 ? [] : some.map((field) => ({ field, verified })),
        ),
      toolIds: fc.constantFrom<string[][]>([], [], ["t"]),
      terminal: fc.boolean(),
      checkpoint: fc.constantFrom(false, false, true),
      skippable: fc.boolean(),
      reachableFromAnywhere: fc.constantFrom(false, false, true),
      transitions: fc.array(edge(n), { maxLength: 3 }),
    })
    .map(({ transitions, ...step }) => ({
      ...step,
      id,
      transitions: transitions.map((each, i) => ({ ...each, id: `${id}-${i}` })),
    }));

const graph: fc.Arbitrary<StepInit> = fc
  .integer({ min: 1, max: ids.length })
  .chain((n) => fc.tuple(...ids.slice(0, n).map((id) => stepOf(n, id))));

const judgement = fc.constantFrom<NavigationQuestion["judged"][]>(
  undefined,
  undefined,
  { kind: "stay", confidence: 0.9 },
  { kind: "exit", confidence: 0.9 },
  { kind: "exit", confidence: 0.3 },
  { kind: "entry", id: "other", confidence: 0.9 },
  { kind: "entry", id: "returns", confidence: 0.9 },
  { kind: "edge", id: "s0-0", confidence: 0.9 },
  { kind: "edge", id: "s1-0", confidence: 0.2 },
);

const message = fc.record({
  heard: fc.constantFrom(true, true, true, false),
  scores: fc.dictionary(
    fc.constantFrom(...ids.flatMap((id) => [`${id}-0`, `${id}-1`]), "entry", "other"),
    share,
  ),
  judged: judgement,
  exitSignal: fc.constantFrom(0, 0, 0, 0.95),
  digression: fc.boolean(),
  gives: fc.boolean(),
  corrects: fc.subarray(fields),
  known: fc.subarray(fields),
  verified: fc.subarray(fields),
  guards: fc.record({ "fields.x == 1": fc.boolean(), "has(results.t)": fc.boolean() }),
  blocked: fc.constantFrom(new Set<string>(), new Set<string>(), new Set(["other"])),
  tools: fc.constantFrom("waiting" as const, "failed" as const, "done" as const),
  overridden: fc.constantFrom(false, false, false, true),
});

type Message = typeof message extends fc.Arbitrary<infer M> ? M : never;

const other = {
  id: "other",
  name: "other",
  entryCondition: "wants another",
  steps: [{ id: "o", terminal: true }],
};

interface State {
  readonly position: NavigationQuestion["position"];
  readonly visits: readonly StepVisit[];
  readonly lowConfidenceTurns: number;
}

function question(steps: StepInit, given: Message, state: State, turn: number): NavigationQuestion {
  const { tools, overridden, ...rest } = given;
  const made = asking(steps, { ...rest, others: [other], turn, ...state });
  const blocked = overridden ? new Set(["returns"]) : made.blocked;
  return {
    ...made,
    blocked,
    takes: (step, field) => step.toolIds.length > 0 && field === "y",
    toolsOf: (step) => (step.toolIds.length === 0 ? "none" : tools),
  };
}

const places = fc.constantFrom<State["position"][]>(
  undefined,
  create(ScenarioPositionSchema, { scenarioId: "returns", stepId: "s0", enteredTurn: 1 }),
  create(ScenarioPositionSchema, { scenarioId: "returns", stepId: "gone", enteredTurn: 1 }),
  create(ScenarioPositionSchema, { scenarioId: "gone", stepId: "s0", enteredTurn: 1 }),
);

/** What is not as it has to be after any turn, whatever was asked. */
function* broken(asked: NavigationQuestion, before: State, after: Navigation): Generator<string> {
  const { scenarioOf, turn, settings } = asked;
  const at = after.position;
  if (at && !scenarioOf(at.scenarioId)?.steps.has(at.stepId)) yield `is at ${at.stepId}`;
  if (after.visits.length > 50) yield "keeps more than 50 visits";
  if ([after, ...after.moves].some(({ reason }) => reason === "")) yield "gives no reason";

  let place = before.position;
  let seen = [...before.visits];
  for (const visit of newVisits(before, after)) {
    if (visit.turn !== turn || !(visit.confidence >= 0 && visit.confidence <= 1))
      yield "a visit has another turn or no confidence";
    yield* brokenMove(visit, place, seen, asked);
    const { scenarioId, stepId } = visit;
    const isOut = visit.reason === VisitReason.EXIT;
    place = isOut ? undefined : create(ScenarioPositionSchema, { scenarioId, stepId });
    seen = [...seen, visit];
  }
  if (at?.scenarioId !== place?.scenarioId || at?.stepId !== place?.stepId)
    yield "its visits do not lead to where it is";
  const advances = after.visits.filter(
    (visit) => visit.turn === turn && visit.reason === VisitReason.AUTO_ADVANCE,
  );
  if (advances.length > settings.auto_advance_max) yield `advances ${advances.length} times`;
}

function* brokenMove(
  { scenarioId, stepId, reason, transitionId }: StepVisit,
  place: State["position"],
  seen: readonly StepVisit[],
  { scenarioOf, turn, settings, holds, knows }: NavigationQuestion,
): Generator<string> {
  if (reason === VisitReason.EXIT) {
    if (stepId !== "" || place?.scenarioId !== scenarioId) yield "leaves what it is not in";
    return;
  }
  const home = scenarioOf(scenarioId);
  const recent = seen.filter(
    (each) =>
      each.scenarioId === scenarioId &&
      each.stepId === stepId &&
      each.turn > turn - settings.loop_window_turns,
  );
  if (recent.length >= settings.step_visits_max) yield `goes to ${stepId} too often`;
  const lacks = home?.steps.get(stepId)?.requiredFields.some((need) => !knows(need)) ?? true;
  switch (reason) {
    case VisitReason.ENTRY:
      if (place || home?.entry?.id !== stepId || lacks) yield "enters where it may not";
      return;
    case VisitReason.TRANSITION:
    case VisitReason.AUTO_ADVANCE: {
      const taken = home?.edges.find(({ id }) => id === transitionId);
      if (taken?.fromStepId !== place?.stepId || taken?.toStepId !== stepId)
        yield "goes where no edge leads";
      if (lacks || !holds(taken?.transition.guard ?? "").holds) yield "follows a shut edge";
      return;
    }
    case VisitReason.RELOCALISATION: {
      if (place?.scenarioId !== scenarioId) yield "finds itself elsewhere";
      const way = visitsOfRun(seen, scenarioId).map((each) => each.stepId);
      const passed = way.findIndex((id) => home?.steps.get(id)?.checkpoint);
      if (passed >= 0 && way.includes(stepId) && way.indexOf(stepId) <= passed)
        yield "goes back over a checkpoint";
      return;
    }
    case VisitReason.UNSPECIFIED:
    case VisitReason.OVERRIDE:
    case VisitReason.MIGRATION:
    default:
      yield `has a visit for ${reason}`;
  }
}

function newVisits(before: Pick<State, "visits">, { visits }: Navigation): readonly StepVisit[] {
  const known = new Set(before.visits);
  return visits.filter((visit) => !known.has(visit));
}

describe("navigation, whatever the graph and whatever is said", { timeout: 60_000 }, () => {
  it("keeps a session nowhere or at one step that exists, by visits with reasons, within its limits", () => {
    fc.assert(
      fc.property(
        graph,
        places,
        fc.array(fc.tuple(message, fc.boolean()), { minLength: 1, maxLength: 12 }),
        (steps, start, messages) => {
          let state: State = { position: start, visits: [], lowConfidenceTurns: 0 };
          messages.forEach(([given, toolsRan], i) => {
            const asked = question(steps, given, state, i + 2);
            const after = navigate(asked);
            expect([...broken(asked, state, after)]).toEqual([]);
            expect(navigate(asked)).toEqual(after);
            state = after;
            if (!toolsRan) return;
            const ground = {
              ...question(steps, given, state, i + 2),
              toolsOf: () => "done" as const,
            };
            const further = goOn(ground);
            expect([...broken(ground, state, further)]).toEqual([]);
            state = further;
          });
        },
      ),
      { numRuns: 300 },
    );
  });
});
