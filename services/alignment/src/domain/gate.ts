import { type CheckResult, type Constraint, decidedEarly, mayBreak } from "./checks.ts";
import { completeSentences } from "./sentences.ts";

/**
 * Stands between what is written and what is shown. Without constraints everything passes at once;
 * with constraints that a beginning can break, sentence by sentence, but for an end that could be the
 * beginning of what must not be said; with any that only the whole can keep, nothing passes before
 * `open`. What has passed is never taken back.
 */
export class Gate {
  private readonly constraints: readonly Constraint[];
  private readonly check: (constraint: Constraint, text: string) => CheckResult;
  private readonly release: (piece: string) => void;
  private readonly holds: boolean;
  private shownText = "";
  private waiting = "";
  private broken: CheckResult | undefined;

  constructor(
    constraints: readonly Constraint[],
    check: (constraint: Constraint, text: string) => CheckResult,
    release: (piece: string) => void,
    /** Nothing passes before `open`, whatever is demanded. */
    holds = false,
  ) {
    this.holds = holds;
    this.constraints = constraints;
    this.check = check;
    this.release = release;
  }

  /** What the customer has seen. */
  get shown(): string {
    return this.shownText;
  }

  /** What has been written, shown or not. */
  get written(): string {
    return this.shownText + this.waiting;
  }

  /** The check that a sentence broke; nothing after it is worth writing. */
  get violation(): CheckResult | undefined {
    return this.broken;
  }

  get holdsAll(): boolean {
    return this.holds || this.constraints.some((constraint) => !decidedEarly(constraint));
  }

  /** Takes a piece; false when the text so far breaks a constraint and writing may stop. */
  write(piece: string): boolean {
    if (this.broken) return false;
    this.waiting += piece;
    if (this.holdsAll) return true;
    if (this.constraints.length === 0) this.show(this.waiting);
    else this.showSentences();
    return !this.violation;
  }

  /** Forgets what was written but not shown: another attempt goes on from what was shown. */
  startAgain(): void {
    this.waiting = "";
    this.broken = undefined;
  }

  /** Shows what is left: whoever calls has found it good. */
  open(): void {
    this.show(this.waiting);
  }

  private showSentences(): void {
    let held = "";
    for (const sentence of completeSentences(this.waiting)) {
      held += sentence;
      const text = this.shownText + held;
      this.broken = this.constraints
        .map((constraint) => this.check(constraint, text))
        .find(({ passed }) => !passed);
      if (this.broken) return;
      if (this.constraints.some((constraint) => mayBreak(constraint, text))) continue;
      this.show(held);
      held = "";
    }
  }

  private show(piece: string): void {
    if (piece === "") return;
    this.shownText += piece;
    this.waiting = this.waiting.slice(piece.length);
    this.release(piece);
  }
}
