import { create } from "@bufbuild/protobuf";
import {
  type ModelCallRecord,
  type StepRecord,
  StepRecordSchema,
  type TurnRecord,
  TurnRecordSchema,
} from "@soldier/proto/audit/v1/turn_record";
import type { Clock } from "@soldier/kernel/clock";

/** Any of the record's fields. */
export type RecordFacts = Partial<Omit<TurnRecord, "$typeName" | "$unknown">>;

/** What one step tells the turn record; what it does not tell is not known afterwards. */
export interface RecordPart {
  /** Why it did nothing, when it did nothing. */
  readonly skipped?: string;
  /** The reason of the fault that it got over. */
  readonly degraded?: string;
  /** Fields of the record; a later step's word on the same field counts. */
  readonly facts?: RecordFacts;
  /** Every attempt at a model, also those that another one made good. */
  readonly modelCalls?: readonly ModelCallRecord[];
  /** How many of the step's questions to a model waited for each other; all, unless told. */
  readonly modelCallDepth?: number;
  /** Milliseconds spent waiting for models and tools. */
  readonly outsideMs?: number;
}

/** The account of one turn, collected while it runs: the trace is the record. */
export class TurnRecorder {
  readonly startedAtMs: number;
  private readonly clock: Clock;
  private readonly steps: StepRecord[] = [];
  /** What the turn got over, as "<step>: <reason>". */
  readonly degradations: string[] = [];
  private readonly modelCalls: ModelCallRecord[] = [];
  private readonly spent: ModelCallRecord[] = [];
  private modelCallDepth = 0;
  private readonly facts: RecordFacts = {};
  private outsideMs = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.startedAtMs = clock.monotonicMs();
  }

  add(name: string, durationMs: number, part: RecordPart): void {
    const { skipped = "", degraded = "", facts, modelCalls = [], outsideMs = 0 } = part;
    this.modelCallDepth += part.modelCallDepth ?? modelCalls.length;
    this.steps.push(create(StepRecordSchema, { name, durationMs, skipped, degraded }));
    if (degraded) this.degradations.push(`${name}: ${degraded}`);
    Object.assign(this.facts, facts);
    this.modelCalls.push(...modelCalls);
    this.outsideMs += outsideMs;
  }

  /** How many models were called, with or without success. */
  get calls(): number {
    return this.modelCalls.length;
  }

  /** What became of a reply that was begun early; undefined when none was. */
  get speculation(): RecordFacts["speculation"] {
    return this.facts.speculation;
  }

  /** Counts a call as it ends: a step that is cut short has nothing to add any more. */
  used(call: ModelCallRecord): void {
    this.spent.push(call);
  }

  /** What its model calls have used so far, those that failed and those of a step cut short included. */
  get usage(): { readonly tokens: bigint; readonly costMicros: bigint } {
    return this.spent.reduce(
      (sum, { inputTokens, outputTokens, cachedTokens, costMicros }) => ({
        tokens: sum.tokens + inputTokens + outputTokens + cachedTokens,
        costMicros: sum.costMicros + costMicros,
      }),
      { tokens: 0n, costMicros: 0n },
    );
  }

  /** How long it has taken, in milliseconds, and how many model calls waited for each other. */
  get figures(): { durationMs: number; engineMs: number; modelCallDepth: number } {
    const durationMs = this.clock.monotonicMs() - this.startedAtMs;
    return {
      durationMs,
      engineMs: Math.max(0, durationMs - this.outsideMs),
      // Steps run one after the other.
      modelCallDepth: this.modelCallDepth,
    };
  }

  /**
   * The record as it stands. Steps that run after it is sealed are named without a duration: their
   * time is in the turn's spans.
   */
  sealed(facts: RecordFacts, stepsToCome: readonly string[]): TurnRecord {
    return create(TurnRecordSchema, {
      ...this.facts,
      ...facts,
      ...this.figures,
      steps: [...this.steps, ...stepsToCome.map((name) => create(StepRecordSchema, { name }))],
      degradations: this.degradations,
      modelCalls: this.modelCalls,
    });
  }
}
