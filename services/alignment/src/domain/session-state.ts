import type { SessionState } from "@soldier/proto/session/v1/session";

/**
 * A copy to change: its fields, and what its maps and lists hold. What is held is shared, and only ever
 * replaced; a copy of all of it, several times a turn, is most of what a turn with little to do would do.
 */
export function copied(state: SessionState): SessionState {
  return {
    ...state,
    fields: { ...state.fields },
    ruleFires: { ...state.ruleFires },
    toolResults: { ...state.toolResults },
    variables: { ...state.variables },
    visits: [...state.visits],
    appliedRuleIds: [...state.appliedRuleIds],
    toolsDone: [...state.toolsDone],
  };
}
