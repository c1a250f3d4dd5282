import type { Means } from "./means.ts";
import { Pipeline } from "./step.ts";
import { adjudicateScenario } from "./steps/adjudicate-scenario.ts";
import { commit } from "./steps/commit.ts";
import { enforce } from "./steps/enforce.ts";
import { executeTools } from "./steps/execute-tools.ts";
import { extractContext } from "./steps/extract-context.ts";
import { filterRules } from "./steps/filter-rules.ts";
import { generate } from "./steps/generate.ts";
import { navigateScenario } from "./steps/navigate-scenario.ts";
import { receive } from "./steps/receive.ts";
import { reconcile } from "./steps/reconcile.ts";
import { rerank } from "./steps/rerank.ts";
import { resolveRelationsStep } from "./steps/resolve-relations.ts";
import { respond } from "./steps/respond.ts";
import { retrieve } from "./steps/retrieve.ts";

/** A turn, start to end. Read this list to know what Soldier does with a message. */
export function alignmentPipeline(means: Means) {
  return Pipeline.startingWith<"incoming" | "outlet" | "claim" | "recorder" | "ledger">()
    .step(receive(means))
    .step(reconcile())
    .step(extractContext(means))
    .step(retrieve(means))
    .step(rerank(means))
    .step(filterRules(means))
    .step(adjudicateScenario(means))
    .step(resolveRelationsStep())
    .step(navigateScenario())
    .step(executeTools(means))
    .step(generate(means))
    .step(enforce(means))
    .step(commit(means))
    .step(respond());
}
