import { clone, create } from "@bufbuild/protobuf";
import { type Rule, RuleApplication } from "@soldier/proto/config/v1/rule";
import {
  type Awaited,
  RuleFiresSchema,
  type SessionState,
  SessionStateSchema,
} from "@soldier/proto/session/v1/session";
import { isTransient } from "./directives.ts";

/** The state that the next turn begins with: fires counted, one-shots remembered, questions noted. */
export function nextState(
  state: SessionState,
  applied: readonly Rule[],
  turnNumber: number,
  awaited: Awaited | undefined,
): SessionState {
  const next = clone(SessionStateSchema, state);
  for (const { id } of applied.filter((rule) => !isTransient(rule))) {
    const count = (next.ruleFires[id]?.count ?? 0) + 1;
    next.ruleFires[id] = create(RuleFiresSchema, { count, lastTurn: turnNumber });
  }
  const once = applied
    .filter(({ application }) => application === RuleApplication.ONE_SHOT)
    .map(({ id }) => id);
  next.appliedRuleIds = [...new Set([...next.appliedRuleIds, ...once])];
  // What a tool asked for goes first: without it there is nothing to go on with.
  if (!next.awaited && awaited) next.awaited = awaited;
  return next;
}
