import { describe, expect, it } from "vitest";
import { noReranker } from "./reranker.ts";

const candidates = [
  { text: "refunds", score: 0.7 },
  { text: "returns", score: 0.9 },
];

describe("reranking switched off", () => {
  it("keeps the order and the scores", async () => {
    const signal = new AbortController().signal;
    expect(await noReranker.rerank("my money back", candidates, signal)).toEqual([
      { index: 0, score: 0.7 },
      { index: 1, score: 0.9 },
    ]);
    expect(await noReranker.rerank("my money back", [], signal)).toEqual([]);
  });
  it("fails a request that has been cancelled", async () => {
    await expect(
      noReranker.rerank("my money back", candidates, AbortSignal.abort()),
    ).rejects.toMatchObject({ kind: "cancelled" });
  });
});
