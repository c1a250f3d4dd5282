import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { BundleSchema } from "@soldier/proto/config/v1/bundle";
import type { ScenarioSchema } from "@soldier/proto/config/v1/scenario";
import { ScenarioPositionSchema } from "@soldier/proto/session/v1/session";
import { z } from "zod";
import { compileBundle } from "./compiled-bundle.ts";
import type { NavigationQuestion, ToolsOfStep } from "./navigation-question.ts";
import { type TurnDefaults, turnDefaults } from "./turn-settings.ts";

const defaults: TurnDefaults = z.object(turnDefaults).parse({});

export type StepInit = MessageInitShape<typeof ScenarioSchema>["steps"];

/** A question about one scenario, "returns", with as little said of it as a test needs. */
export function asking(
  steps: StepInit,
  given: Partial<NavigationQuestion> & {
    readonly at?: string;
    readonly scores?: Readonly<Record<string, number>>;
    readonly known?: readonly string[];
    readonly verified?: readonly string[];
    readonly guards?: Readonly<Record<string, boolean>>;
    readonly scenario?: MessageInitShape<typeof ScenarioSchema>;
    /** Others beside it; their entries score by their id. */
    readonly others?: readonly MessageInitShape<typeof ScenarioSchema>[];
    readonly tools?: Readonly<Record<string, ToolsOfStep>>;
  } = {},
): NavigationQuestion {
  const scenarioId = "returns";
  const bundle = compileBundle(
    create(BundleSchema, {
      agent: {},
      scenarios: [
        {
          id: scenarioId,
          name: scenarioId,
          entryCondition: "wants a return",
          version: 3n,
          steps: steps ?? [],
          ...given.scenario,
        },
        ...(given.others ?? []),
      ],
    }),
    defaults,
    8,
    () => undefined,
  );
  const { at, scores = {}, known = [], verified = [], guards = {}, tools = {}, ...others } = given;
  const { scenario: _, others: more = [], ...rest } = others;
  return {
    scenarioOf: (id) => bundle.scenariosById.get(id),
    position:
      at === undefined
        ? undefined
        : create(ScenarioPositionSchema, { scenarioId, stepId: at, enteredTurn: 1 }),
    visits: [],
    lowConfidenceTurns: 0,
    turn: 5,
    settings: bundle.settings.navigation,
    edgeScore: (edge) => scores[edge.id] ?? 0,
    outdone: () => false,
    entries: [
      { scenarioId, score: scores["entry"] ?? 0 },
      ...more.map(({ id = "" }) => ({ scenarioId: id, score: scores[id] ?? 0 })),
    ],
    blocked: new Set(),
    exitSignal: 0,
    digression: false,
    judged: undefined,
    holds: (guard) => ({ holds: guard === "" || (guards[guard] ?? false) }),
    knows: ({ field, verified: must }) => (must ? verified : known).includes(field),
    heard: true,
    gives: false,
    corrects: [],
    toolsOf: (step) => (step.toolIds.length === 0 ? "none" : (tools[step.id] ?? "waiting")),
    takes: () => false,
    isRuled: () => false,
    ...rest,
  };
}
