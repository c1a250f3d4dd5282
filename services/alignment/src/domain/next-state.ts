import { create } from "@bufbuild/protobuf";
import { type Rule, RuleApplication } from "@soldier/proto/config/v1/rule";
import {
  type Awaited,
  RuleFiresSchema,
  type SessionState,
} from "@soldier/proto/session/v1/session";
import type { RuleCandidate } from "./candidates.ts";
import { isTransient } from "./directives.ts";
import { scoreOf } from "./rule-scores.ts";
import { copied } from "./session-state.ts";

/** What a turn leaves to the next. */
export interface TurnEnd {
  readonly state: SessionState;
  readonly rules: readonly RuleCandidate[];
  readonly applied: readonly Rule[];
  readonly turnNumber: number;
  readonly awaited: Awaited | undefined;
  readonly matchThreshold: number;
}

/** The state that the next turn begins with: fires counted, one-shots remembered, questions noted. */
export function nextState(end: TurnEnd): SessionState {
  const { state, turnNumber, awaited } = end;
  const next = copied(state);
  const held = new Set(end.rules.filter((each) => each.held).map(({ rule }) => rule.id));
  const applied = end.applied.filter((rule) => !isTransient(rule) && !held.has(rule.id));
  for (const { id } of applied) {
    const count = (next.ruleFires[id]?.count ?? 0) + 1;
    next.ruleFires[id] = create(RuleFiresSchema, { count, lastTurn: turnNumber });
  }
  const spent = end.rules.filter((each) => isStillMet(each, end));
  for (const { rule } of spent) {
    const { count = 0 } = next.ruleFires[rule.id] ?? {};
    next.ruleFires[rule.id] = create(RuleFiresSchema, { count, lastTurn: turnNumber });
  }
  const fresh = new Set(applied.filter(waits).map(({ id }) => id));
  next.appliedRuleIds = [
    ...new Set([
      ...next.appliedRuleIds.filter((id) => !fresh.has(id)),
      ...applied.filter(isOneShot).map(({ id }) => id),
      ...spent.map(({ rule }) => rule.id),
    ]),
  ];
  // What a tool asked for goes first: without it there is nothing to go on with.
  if (!next.awaited && awaited) next.awaited = awaited;
  return next;
}

/** A spent rule whose condition is still met keeps its reason; one that is just answered is spent now. */
function isStillMet(candidate: RuleCandidate, { state, matchThreshold }: TurnEnd): boolean {
  const { rule, eliminatedBy } = candidate;
  if (eliminatedBy !== "one_shot") return false;
  const isAnswered = waits(rule) && !state.appliedRuleIds.includes(rule.id);
  return isAnswered || scoreOf(candidate) >= matchThreshold;
}

function isOneShot({ application }: Rule): boolean {
  return application === RuleApplication.ONE_SHOT;
}

function waits({ application }: Rule): boolean {
  return application === RuleApplication.CUSTOMER_DEPENDENT;
}
