import type { Means } from "../means.ts";
import type { Step } from "../step.ts";
import { noEffects, type ToolAdds, type ToolNeeds, ToolWork } from "../tool-work.ts";

/**
 * Resolves what variables are named, runs the tools of the rules that apply and of the step, and goes
 * on through the scenario as far as their answers lead. A tool that fails never fails the turn; what
 * it lacks is asked of the customer.
 */
export function executeTools(means: Means): Step<ToolNeeds, ToolAdds> {
  return {
    name: "execute-tools",
    async run(turn, signal) {
      const work = new ToolWork(turn, means, signal);
      await work.variables();
      await work.ofRules();
      if (work.reevaluated()) await work.ofRules();
      await work.ofSteps();
      signal.throwIfAborted();
      return work.done();
    },
    off: ({ state, known, navigation, rules, applied, relations }) => ({
      state,
      known,
      navigation,
      rules,
      applied,
      relations,
      effects: noEffects,
    }),
  };
}
