import type { FieldRequirement, Step } from "@soldier/proto/config/v1/scenario";
import type { ScenarioPosition, StepVisit } from "@soldier/proto/session/v1/session";
import type { CompiledScenario, Edge } from "./compiled-bundle.ts";
import type { Verdict } from "./expressions.ts";
import type { TurnSettings } from "./turn-settings.ts";

/** Everything that navigation looks at; it asks for nothing else. */
export interface NavigationQuestion {
  readonly scenarioOf: (id: string) => CompiledScenario | undefined;
  readonly position: ScenarioPosition | undefined;
  readonly visits: readonly StepVisit[];
  readonly lowConfidenceTurns: number;
  /** Number of the turn that runs. */
  readonly turn: number;
  readonly settings: TurnSettings["navigation"];
  /** How well the message fits an edge's condition, 0 to 1. */
  readonly edgeScore: (edge: Edge) => number;
  /** How well it fits the entry conditions of scenarios. */
  readonly entries: readonly { readonly scenarioId: string; readonly score: number }[];
  /** Scenarios that a relation keeps from starting. */
  readonly blocked: ReadonlySet<string>;
  /** How sure it is that the customer wants to leave, 0 to 1. */
  readonly exitSignal: number;
  /** The message is about something else that a rule answers. */
  readonly digression: boolean;
  /** What a model made of it, when one was asked. */
  readonly judged: JudgedMove | undefined;
  readonly holds: (guard: string) => Verdict;
  readonly knows: (need: Pick<FieldRequirement, "field" | "verified">) => boolean;
  /** Whether the step's tools have answered since it was entered. */
  readonly toolsDone: (step: Step) => boolean;
}

export type JudgedMove =
  | { readonly kind: "edge" | "entry"; readonly id: string; readonly confidence: number }
  | { readonly kind: "stay" | "exit"; readonly confidence: number };

/** A move that was thought of. */
export interface Move {
  readonly kind: "edge" | "entry" | "exit" | "relocalise" | "auto_advance";
  /** The edge or the scenario. */
  readonly id: string;
  readonly toStepId: string;
  readonly score: number;
  readonly taken: boolean;
  readonly reason: string;
}

export interface Navigation {
  readonly position: ScenarioPosition | undefined;
  /** Oldest first, at most 50. */
  readonly visits: readonly StepVisit[];
  readonly lowConfidenceTurns: number;
  readonly moves: readonly Move[];
  /** Why it ended as it did. */
  readonly reason: string;
  /** Steps come to, in order. */
  readonly entered: readonly string[];
  /** The customer left on purpose. */
  readonly left: boolean;
}
