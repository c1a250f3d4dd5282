import type { PredicateRule } from "./facts.ts";

/** What a tenant declares of a predicate. */
export interface Predicate extends PredicateRule {
  readonly name: string;
  /** Types of entities that it may be said of, and that may be its object; empty is any. */
  readonly subjectTypes: readonly string[];
  readonly objectTypes: readonly string[];
  readonly temporalKind: "state" | "event" | "static";
  readonly piiClass: string;
}
