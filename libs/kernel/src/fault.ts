/** What went wrong, in the domain's words. The chassis turns the kind into a gRPC and HTTP code. */
export type FaultKind =
  | "invalid"
  | "unauthenticated"
  | "forbidden"
  | "not-found"
  | "already-exists"
  | "conflict"
  | "precondition"
  | "exhausted"
  | "deadline"
  | "cancelled"
  | "unavailable"
  | "unimplemented"
  | "internal"
  /** What was stored can't be read any more; trying again won't help. */
  | "data-loss";

/** One thing wrong with the caller's input: which field, in proto path notation, and what to do. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface FaultOptions extends ErrorOptions {
  /** Stable, UPPER_SNAKE_CASE; callers may switch on it. Defaults to the kind. */
  readonly reason?: string;
  /** For "invalid": each bad field, all at once. */
  readonly fields?: readonly FieldViolation[];
  /** For "exhausted" and "unavailable": when trying again may help, in milliseconds. */
  readonly retryAfterMs?: number;
  /** Facts for machines, e.g. `{ session_id }`. Never secrets or customer text. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * A failure that the caller should know of. The message and the reason go to the caller;
 * the cause stays in our log.
 */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly kind: FaultKind;
  readonly reason: string;
  readonly fields: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(kind: FaultKind, message: string, options: FaultOptions = {}) {
    super(message, options);
    this.kind = kind;
    this.reason = options.reason ?? kind.replaceAll("-", "_").toUpperCase();
    this.fields = options.fields ?? [];
    this.retryAfterMs = options.retryAfterMs;
    this.metadata = options.metadata ?? {};
  }
}
