import type { Rule } from "@soldier/proto/config/v1/rule";
import type { Scenario } from "@soldier/proto/config/v1/scenario";
import type { MatchScore } from "@soldier/retrieval/match-index";

/** A rule on its way through the turn. */
export interface RuleCandidate {
  readonly rule: Rule;
  readonly scores: MatchScore;
  /** What a model made of it, 0 to 1; unset when none was asked. */
  readonly judge?: number;
  /** A model's word on the condition of a rule that only its scope keeps out so far. */
  readonly holds?: boolean;
  readonly rerank?: number;
  /** The first stage that took it out; empty while it is in. */
  readonly eliminatedBy: string;
  /** Why it is in or out, for people. */
  readonly reason: string;
  /** How far it was from passing that stage; positive: short by so much. */
  readonly distance: number;
  /** It was applied before, and its reason may be the same still: only a model can tell. */
  readonly spent?: true;
  /** It goes on because the customer owes it something: no application of its own. */
  readonly held?: true;
}

export interface ScenarioCandidate {
  readonly scenario: Scenario;
  readonly scores: MatchScore;
  /** It survived selection. */
  readonly selected: boolean;
  readonly reason: string;
}

export function out(
  candidate: RuleCandidate,
  eliminatedBy: string,
  reason: string,
  distance = 0,
): RuleCandidate {
  return candidate.eliminatedBy === ""
    ? { ...candidate, eliminatedBy, reason, distance }
    : candidate;
}

export function isIn({ eliminatedBy }: RuleCandidate): boolean {
  return eliminatedBy === "";
}
