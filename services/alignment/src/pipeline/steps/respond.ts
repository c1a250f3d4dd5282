import type { Step } from "../step.ts";

/** Says that the turn is done, now that it is. */
export function respond(): Step<"outlet" | "committed" | "state", never> {
  return {
    name: "respond",
    async run({ outlet, committed, state }) {
      outlet.completed({ turn: committed.turn, replayed: false, position: state.position });
      return {};
    },
  };
}
