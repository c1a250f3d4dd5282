import { create } from "@bufbuild/protobuf";
import { type Reranked, type Reranker, noReranker } from "@soldier/ai/reranker";
import { Fault } from "@soldier/kernel/fault";
import { RuleSchema } from "@soldier/proto/config/v1/rule";
import { noMatch } from "@soldier/retrieval/match-index";
import { describe, expect, it } from "vitest";
import { out, type RuleCandidate } from "../../domain/candidates.ts";
import type { Means } from "../means.ts";
import type { Turn } from "../turn.ts";
import { rerank } from "./rerank.ts";

const candidate = (id: string, match: number): RuleCandidate => ({
  rule: create(RuleSchema, { id, condition: `about ${id}`, examples: [`tell me of ${id}`] }),
  scores: { ...noMatch, match },
  eliminatedBy: "",
  reason: "",
  distance: 0,
});
const rules = [
  candidate("returns", 0.6),
  out(candidate("jobs", 0.1), "selection", "too far"),
  candidate("refunds", 0.5),
];

function run(reranker: Reranker, candidates = rules) {
  const { signal } = new AbortController();
  // The step reads no more of its means, nor of the turn's message.
  const step = rerank({ reranker } as Means);
  const incoming = { text: "my money" } as Turn["incoming"];
  return step.run({ incoming, rules: candidates, budget: signal }, signal);
}

function by(rank: Reranker["rerank"]): Reranker {
  return { ...noReranker, id: "test:pairs", rerank: rank };
}

describe("reranking", () => {
  it("keeps the provider's score as a part of its own, of candidates that are in", async () => {
    const read: string[] = [];
    const outcome = await run(
      by(async (query, texts): Promise<readonly Reranked[]> => {
        read.push(query, ...texts.map(({ text }) => text));
        return [
          { index: 1, score: 0.9 },
          { index: 0, score: 0.2 },
        ];
      }),
    );
    const ranked = "rules" in outcome ? outcome.rules : [];
    expect(read).toEqual([
      "my money",
      "about returns\ntell me of returns",
      "about refunds\ntell me of refunds",
    ]);
    expect(ranked.map(({ rule, rerank: score }) => [rule.id, score])).toEqual([
      ["returns", 0.2],
      ["jobs", undefined],
      ["refunds", 0.9],
    ]);
    expect(ranked.map(({ scores }) => scores.match)).toEqual([0.6, 0.1, 0.5]);
  });
  it("goes on with the scores as they were when the provider fails, and says why", async () => {
    const down = by(async () => {
      throw new Fault("unavailable", "away", { reason: "RERANKER_UNAVAILABLE" });
    });
    expect(await run(down)).toEqual({ rules, record: { degraded: "RERANKER_UNAVAILABLE" } });
  });
  it("asks nobody where there is no provider, or nothing to order", async () => {
    expect(await run(noReranker)).toEqual({ rules, record: { skipped: "no provider" } });
    const never = by(async () => {
      throw new Error("nobody asked");
    });
    const one = rules.slice(0, 2);
    expect(await run(never, one)).toEqual({ rules: one, record: { skipped: "nothing to order" } });
  });
});
