import { type CheckResult, type Constraint, decidedEarly } from "./checks.ts";
import { completeSentences } from "./sentences.ts";

/**
 * Stands between what is written and what is shown. Without constraints everything passes at once;
 * with constraints that a beginning can break, sentence by sentence; with any that only the whole
 * can keep, nothing passes before `open`. What has passed is never taken back.
 */
export class Gate {
  private readonly constraints: readonly Constraint[];
  private readonly check: (constraint: Constraint, text: string) => CheckResult;
  private readonly release: (piece: string) => void;
  private shownText = "";
  private waiting = "";
  private broken: CheckResult | undefined;

  constructor(
    constraints: readonly Constraint[],
    check: (constraint: Constraint, text: string) => CheckResult,
    release: (piece: string) => void,
  ) {
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
    return this.constraints.some((constraint) => !decidedEarly(constraint));
  }

  /** Takes a piece; false when the text so far breaks a constraint and writing may stop. */
  write(piece: string): boolean {
    if (this.broken) return false;
    this.waiting += piece;
    if (this.constraints.length === 0) this.show(this.waiting);
    else if (!this.holdsAll) this.showSentences();
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
    for (const sentence of completeSentences(this.waiting)) {
      this.broken = this.constraints
        .map((constraint) => this.check(constraint, this.shownText + sentence))
        .find(({ passed }) => !passed);
      if (this.broken) return;
      this.show(sentence);
    }
  }

  private show(piece: string): void {
    if (piece === "") return;
    this.shownText += piece;
    this.waiting = this.waiting.slice(piece.length);
    this.release(piece);
  }
}
