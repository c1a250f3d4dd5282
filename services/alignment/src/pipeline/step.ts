import type { RecordPart } from "./turn-recorder.ts";
import type { Answer, Field, Turn } from "./turn.ts";

/** What a step adds to the turn and tells the turn record, or the end of the turn. */
export type Outcome<Adds extends Field> =
  | (Pick<Turn, Adds> & { readonly record?: RecordPart; readonly answered?: never })
  | { readonly answered: Answer };

/** One step of a turn: it reads the fields it needs and returns the fields it adds. */
export interface Step<Needs extends Field, Adds extends Field> {
  /** As in the turn record and in settings that switch steps off. */
  readonly name: string;
  run(turn: Readonly<Pick<Turn, Needs>>, signal: AbortSignal): Promise<Outcome<Adds>>;
  /** What it adds when it is switched off; a step without this always runs. */
  off?(turn: Readonly<Pick<Turn, Needs>>): Pick<Turn, Adds>;
}

/** Runs around every step: spans, timings, the record. */
export type Around = (name: string, run: () => Promise<StepEnd>) => Promise<StepEnd>;

export interface StepEnd {
  readonly adds: Partial<Turn>;
  readonly record: RecordPart;
  readonly answered?: Answer;
}

/** A turn that ran to its end, or one that had been answered before. */
export type Ran<Has extends Field> =
  | { readonly turn: Pick<Turn, Has>; readonly answered?: never }
  | { readonly answered: Answer; readonly turn?: never };

/**
 * Steps in the order they run. `step` takes only a step whose needs the steps before it supply, so an
 * impossible order does not compile.
 */
export class Pipeline<Has extends Field> {
  readonly steps: readonly Step<Field, never>[];

  private constructor(steps: readonly Step<Field, never>[]) {
    this.steps = steps;
  }

  static startingWith<Given extends Field>(): Pipeline<Given> {
    return new Pipeline<Given>([]);
  }

  step<Needs extends Field, Adds extends Field>(
    step: Step<Needs, Adds> & Supplied<Needs, Has>,
  ): Pipeline<Has | Adds> {
    return new Pipeline([...this.steps, step]);
  }

  async run(given: Partial<Turn>, signal: AbortSignal, around: Around): Promise<Ran<Has>> {
    // The type of the pipeline promises that each step finds what it needs; only here it is taken on trust.
    let turn = given as Turn;
    for (const step of this.steps) {
      signal.throwIfAborted();
      const end = await around(step.name, () => stepEnd(step, turn, signal));
      if (end.answered) return { answered: end.answered };
      turn = { ...turn, ...end.adds };
    }
    return { turn };
  }
}

async function stepEnd(
  step: Step<Field, never>,
  turn: Turn,
  signal: AbortSignal,
): Promise<StepEnd> {
  // Before the first step has run nothing is known that could switch steps off.
  const reason = (turn as Partial<Turn>).off?.get(step.name);
  if (reason !== undefined && step.off)
    return { adds: step.off(turn), record: { skipped: reason } };
  const outcome = await step.run(turn, signal);
  if (outcome.answered) return { adds: {}, record: {}, answered: outcome.answered };
  const { record = {}, answered: _, ...adds } = outcome;
  return { adds, record };
}

/** Nothing when every need is met; else a type whose error message names what is missing. */
type Supplied<Needs, Has> = [Needs] extends [Has]
  ? unknown
  : { notOnTheTurnYet: Exclude<Needs, Has> };
