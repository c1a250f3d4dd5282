import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Reranker } from "./reranker.ts";

/** What every Reranker must do; `reads` is false for one that looks at no text. */
export function rerankerContract(
  open: (opened: AsyncDisposableStack) => Reranker | Promise<Reranker>,
  { reads = true } = {},
): void {
  const opened = new AsyncDisposableStack();
  let reranker: Reranker;
  beforeAll(async () => {
    reranker = await open(opened);
  });
  afterAll(() => opened.disposeAsync());
  const never = new AbortController().signal;
  const rerank = (query: string, ...texts: string[]) =>
    reranker.rerank(
      query,
      texts.map((text, i) => ({ text, score: 1 - i / 100 })),
      never,
    );
  const texts = [
    "the customer wants their money back",
    "the customer asks when the shop is open",
    "the customer asks where their parcel is",
  ];

  it("names provider and model", () => {
    expect(reranker.id).toMatch(/^(none|[a-z]+:\S+)$/);
  });
  it("gives every candidate once, best first", async () => {
    const order = await rerank("when do you open?", ...texts);
    expect(order).toHaveLength(3);
    expect(new Set(order.map(({ index }) => index))).toEqual(new Set([0, 1, 2]));
    const scores = order.map(({ score }) => score);
    expect(scores.every(Number.isFinite)).toBe(true);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  });
  it.runIf(reads)("puts first what fits the question, wherever it stood", async () => {
    for (const order of [texts, texts.toReversed()]) {
      const [best] = await rerank("when is the shop open?", ...order);
      expect(order[best?.index ?? -1]).toBe(texts[1]);
    }
  });
  it("keeps the order of candidates with the same text", async () => {
    const order = await rerank("Where is my parcel?", "the same", "the same", "the same");
    expect(order.map(({ index }) => index)).toEqual([0, 1, 2]);
  });
  it("gives the same order each time", async () => {
    const [first, second] = await Promise.all([1, 2].map(() => rerank("my parcel", ...texts)));
    expect(first).toEqual(second);
  });
  it.each([
    ["an empty question", "", ["some text", "other text"]],
    ["an empty candidate", "Hello", ["", " \n"]],
    ["a question far too long", "Where is my order? ".repeat(2000), ["order", "parcel"]],
    ["a candidate far too long", "order", ["order ".repeat(20_000), "parcel"]],
    ["half a surrogate pair", "broken \ud83d end", ["返品したい 🙂", "broken \ud83d"]],
  ])("orders with %s", async (_, query, given) => {
    expect(await rerank(query, ...given)).toHaveLength(2);
  });
  it("has nothing to order without candidates", async () => {
    expect(await rerank("Hello")).toEqual([]);
  });
  describe("cancelling", () => {
    it("fails a request that has not begun", async () => {
      await expect(
        reranker.rerank("Hello", [{ text: "a", score: 1 }], AbortSignal.abort()),
      ).rejects.toMatchObject({ name: "Fault", kind: "cancelled" });
    });
  });
}
