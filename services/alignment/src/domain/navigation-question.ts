import type { FieldRequirement, Step } from "@soldier/proto/config/v1/scenario";
import type { ScenarioPosition, StepVisit } from "@soldier/proto/session/v1/session";
import type { CompiledScenario, Edge } from "./compiled-bundle.ts";
import type { Verdict } from "./expressions.ts";
import type { TurnSettings } from "./turn-settings.ts";

/** What navigation looks at whether or not the customer has just said something. */
export interface NavigationGround {
  readonly scenarioOf: (id: string) => CompiledScenario | undefined;
  readonly position: ScenarioPosition | undefined;
  readonly visits: readonly StepVisit[];
  readonly lowConfidenceTurns: number;
  /** Number of the turn that runs. */
  readonly turn: number;
  readonly settings: TurnSettings["navigation"];
  readonly holds: (guard: string) => Verdict;
  readonly knows: (need: Pick<FieldRequirement, "field" | "verified">) => boolean;
  readonly toolsOf: (step: Step) => ToolsOfStep;
  /** Whether rules or templates of the step's own act at it. */
  readonly isRuled: (step: Step, scenario: CompiledScenario) => boolean;
  /** Whether one of the step's tools is called with the field. */
  readonly takes: (step: Step, field: string) => boolean;
}

/** How far a step's tools are since it was entered; "failed" when all have ended and not all well. */
export type ToolsOfStep = "none" | "waiting" | "failed" | "done";

/** Everything that navigation looks at when a message has come; it asks for nothing else. */
export interface NavigationQuestion extends NavigationGround {
  /** The customer said something; not when the agent opens. */
  readonly heard: boolean;
  /** How well the message fits an edge's condition, 0 to 1. */
  readonly edgeScore: (edge: Edge) => number;
  /** A rule explains the message better than this edge does: without a model's word it is not taken. */
  readonly outdone: (edge: Edge) => boolean;
  /** How well it fits the entry conditions of scenarios; of equals the author's first comes first. */
  readonly entries: readonly EntryScore[];
  /** Scenarios that a relation keeps from starting, and from speaking in this turn. */
  readonly blocked: ReadonlySet<string>;
  /** How sure it is that the customer wants to leave, 0 to 1. */
  readonly exitSignal: number;
  /** The message is about something else that a rule answers. */
  readonly digression: boolean;
  /** The message gives something that was waited for. */
  readonly gives: boolean;
  /** Fields whose known value the message changes. */
  readonly corrects: readonly string[];
  /** What a model made of it, when one was asked. */
  readonly judged: JudgedMove | undefined;
}

export interface EntryScore {
  readonly scenarioId: string;
  readonly score: number;
  /** A relation brings the scenario in, whatever the message says. */
  readonly entailed?: true;
  /** A rule explains the message better. */
  readonly outdone?: boolean;
}

export type JudgedMove =
  | { readonly kind: "edge" | "entry"; readonly id: string; readonly confidence: number }
  | { readonly kind: "stay" | "exit"; readonly confidence: number };

/** A move that was thought of. */
export interface Move {
  readonly kind: "edge" | "entry" | "exit" | "relocalise" | "return" | "auto_advance";
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
