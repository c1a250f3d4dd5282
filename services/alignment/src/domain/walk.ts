import { create } from "@bufbuild/protobuf";
import {
  type ScenarioPosition,
  ScenarioPositionSchema,
  type StepVisit,
  StepVisitSchema,
  VisitReason,
} from "@soldier/proto/session/v1/session";
import type { CompiledScenario } from "./compiled-bundle.ts";
import type { Move, Navigation, NavigationGround } from "./navigation-question.ts";

const visitsKept = 50;

/** A session's way through scenarios in one turn, as it is being decided. */
export class Walk {
  position: ScenarioPosition | undefined;
  visits: readonly StepVisit[];
  lowConfidenceTurns: number;
  /** The customer left on purpose: nothing else starts in this turn. */
  left = false;
  private readonly turn: number;
  /** Steps come to on this walk, in order. */
  readonly entered: string[] = [];
  private readonly moves: Move[] = [];
  private reason = "in no scenario";

  constructor({ position, visits, lowConfidenceTurns, turn }: NavigationGround) {
    this.position = position;
    this.visits = visits;
    this.lowConfidenceTurns = lowConfidenceTurns;
    this.turn = turn;
    if (position) this.reason = "stays";
  }

  consider(moves: readonly Move[]): void {
    this.moves.push(...moves);
  }

  stay(reason: string): void {
    // An exit in the same turn says more than that nothing followed.
    if (this.position || this.moves.every(({ kind }) => kind !== "exit")) this.reason = reason;
  }

  /** Ends it here, and says which move was not made any more. */
  halt(move: Move, reason: string): void {
    this.moves.push(move);
    this.reason = reason;
  }

  start({ scenario }: CompiledScenario, stepId: string, score: number): void {
    this.position = create(ScenarioPositionSchema, {
      scenarioId: scenario.id,
      scenarioVersion: scenario.version,
    });
    this.lowConfidenceTurns = 0;
    this.go(stepId, VisitReason.ENTRY, score, `${scenario.name} starts`);
  }

  go(stepId: string, why: VisitReason, confidence: number, reason: string, edgeId = ""): void {
    if (!this.position) return;
    this.position = { ...this.position, stepId, enteredTurn: this.turn };
    this.entered.push(stepId);
    this.reason = reason;
    this.visit(this.position.scenarioId, stepId, why, confidence, edgeId);
  }

  exit(confidence: number, reason: string, onPurpose = false): void {
    if (!this.position) return;
    const { scenarioId } = this.position;
    this.moves.push({
      kind: "exit",
      id: scenarioId,
      toStepId: "",
      score: confidence,
      taken: true,
      reason,
    });
    this.position = undefined;
    this.lowConfidenceTurns = 0;
    this.left = onPurpose;
    this.reason = reason;
    this.visit(scenarioId, "", VisitReason.EXIT, confidence, "");
  }

  /** Whether the step may be left without the customer: it was come to in this turn. */
  isFresh(stepId: string): boolean {
    return this.position?.enteredTurn === this.turn && this.position.stepId === stepId;
  }

  end(): Navigation {
    const { position, visits, lowConfidenceTurns, moves, reason, entered, left } = this;
    return { position, visits, lowConfidenceTurns, moves, reason, entered, left };
  }

  private visit(
    scenarioId: string,
    stepId: string,
    reason: VisitReason,
    confidence: number,
    transitionId: string,
  ): void {
    const { turn } = this;
    const visit = create(StepVisitSchema, {
      turn,
      scenarioId,
      stepId,
      reason,
      confidence,
      transitionId,
    });
    this.visits = [...this.visits, visit].slice(-visitsKept);
  }
}
