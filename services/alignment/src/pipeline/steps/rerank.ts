import { isIn } from "../../domain/candidates.ts";
import { tried } from "../degrade.ts";
import type { Means } from "../means.ts";
import type { Step } from "../step.ts";

/** Lets a provider that reads message and rule together put the candidates in a better order. */
export function rerank({ reranker }: Means): Step<"incoming" | "rules" | "budget", "rules"> {
  return {
    name: "rerank",
    async run({ incoming, rules, budget }, signal) {
      if (reranker.id === "none") return { rules, record: { skipped: "no provider" } };
      const candidates = rules.filter(isIn);
      if (candidates.length < 2) return { rules, record: { skipped: "nothing to order" } };
      const texts = candidates.map(({ rule, scores }) => ({
        text: [rule.condition, ...rule.examples].join("\n"),
        score: scores.match,
      }));
      const order = await tried(() => reranker.rerank(incoming.text, texts, budget), signal);
      if (order.fault) return { rules, record: { degraded: order.fault.reason } };
      const scoreOf = new Map(
        order.value.flatMap(({ index, score }) => {
          const id = candidates[index]?.rule.id;
          return id === undefined ? [] : [[id, score] as const];
        }),
      );
      return {
        rules: rules.map((candidate) => {
          const score = scoreOf.get(candidate.rule.id);
          return score === undefined ? candidate : { ...candidate, rerank: score };
        }),
      };
    },
    off: ({ rules }) => ({ rules }),
  };
}
