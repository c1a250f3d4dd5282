import { tried } from "../degrade.ts";
import { extractedOf, judged, moveOf } from "../judgement.ts";
import { caseOf, type CaseNeeds } from "../judging-case.ts";
import type { Means } from "../means.ts";
import { modelCalls } from "../model-calls.ts";
import type { Step } from "../step.ts";

type Needs = CaseNeeds | "rules" | "judgedMove" | "extracted" | "budget" | "rung" | "recorder";

/**
 * Where the message leads in the scenario, and what it gives for the scenario's fields, by a call of
 * its own: for agents whose judgement is not fused. Scores that decide are not asked about.
 */
export function adjudicateScenario(means: Means): Step<Needs, "judgedMove" | "extracted"> {
  return {
    name: "adjudicate-scenario",
    async run(turn, signal) {
      const { bundle, judgedMove, extracted } = turn;
      const skipped = (reason: string) => ({ judgedMove, extracted, record: { skipped: reason } });
      if (bundle.settings.judgement === "fused") return skipped("judged with the rules");
      const calls =
        bundle.settings.judgement === "separate" ? modelCalls(means, turn, "scenario") : undefined;
      if (!calls) return skipped("no model: the scores decide");
      const given = caseOf(turn.rules, turn);
      if (!given.open.scenario) return skipped("the scores decide");
      const answer = await tried(() => judged("scenario", given, turn, calls), signal);
      if (answer.fault)
        return {
          judgedMove,
          extracted,
          record: { ...calls.record, degraded: answer.fault.reason },
        };
      return {
        judgedMove: moveOf(given, answer.value.move, bundle),
        extracted: extractedOf(given, answer.value, bundle, calls.id),
        record: calls.record,
      };
    },
    off: ({ judgedMove, extracted }) => ({ judgedMove, extracted }),
  };
}
