import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cohereReranker } from "./cohere-reranker.ts";
import { deterministicEmbedder } from "./deterministic.ts";
import { localEmbedder } from "./local.ts";
import { localReranker } from "./local-reranker.ts";
import { noReranker } from "./reranker.ts";
import { rerankerContract } from "./reranker.contract.ts";
import { cohereRerank, type EmbeddingAnswers } from "./testing-embeddings.ts";
import { turnstile } from "./turnstile.ts";

const signal = new AbortController().signal;
const door = () =>
  turnstile({ insideMax: 4, waitingMax: 4, overflow: () => new Error("too many wait") });

describe("reranking switched off", () => {
  rerankerContract(() => noReranker, { reads: false });

  it("keeps the order and the scores", async () => {
    const candidates = [
      { text: "refunds", score: 0.7 },
      { text: "returns", score: 0.9 },
    ];
    expect(await noReranker.rerank("my money back", candidates, signal)).toEqual([
      { index: 0, score: 0.7 },
      { index: 1, score: 0.9 },
    ]);
  });
});

describe("the local reranker", () => {
  rerankerContract((opened) => localReranker(localEmbedder(opened)));

  it("weighs the score that a candidate was found with", async () => {
    const reranker = localReranker(deterministicEmbedder(64));
    const order = await reranker.rerank(
      "where is my parcel",
      [
        { text: "where is my parcel", score: 0.1 },
        { text: "where is my package", score: 0.9 },
      ],
      signal,
    );
    expect(order.map(({ index }) => index)).toEqual([1, 0]);
  });

  it("embeds a candidate's words once, however often it is asked about", async () => {
    const embedder = deterministicEmbedder(64);
    let embedded = 0;
    const reranker = localReranker({
      ...embedder,
      embed: (texts, aborting) => {
        embedded += texts.length;
        return embedder.embed(texts, aborting);
      },
    });
    const candidates = [{ text: "the customer asks when the shop is open", score: 1 }];
    await reranker.rerank("when do you open", candidates, signal);
    embedded = 0;
    await reranker.rerank("are you open now", candidates, signal);
    expect(embedded).toBe(2);
  });
});

describe("the Cohere reranker, over real sockets", () => {
  rerankerContract(async (opened) =>
    cohereReranker({
      apiKey: "test-key",
      model: "rerank-test",
      baseUrl: opened.use(await cohereRerank()).url,
      timeoutMs: 5000,
      turnstile: door(),
    }),
  );

  let opened: AsyncDisposableStack;
  beforeEach(() => {
    opened = new AsyncDisposableStack();
  });
  afterEach(() => opened.disposeAsync());
  async function serving(answers?: EmbeddingAnswers, timeoutMs = 5000) {
    const server = opened.use(await cohereRerank(answers));
    const reranker = cohereReranker({
      apiKey: "test-key",
      model: "rerank-test",
      baseUrl: server.url,
      timeoutMs,
      turnstile: door(),
    });
    const candidates = [
      { text: "one", score: 1 },
      { text: "two", score: 0 },
    ];
    return { server, ask: (asked = signal) => reranker.rerank("two", candidates, asked) };
  }

  it("sends the question, the texts and the key", async () => {
    const { server, ask } = await serving();
    expect((await ask()).map(({ index }) => index)).toEqual([1, 0]);
    expect(server.requests).toEqual([
      { model: "rerank-test", query: "two", documents: ["one", "two"] },
    ]);
    expect(server.headers[0]?.authorization).toBe("Bearer test-key");
  });
  it.each([
    [{ status: 401, error: "invalid api token" }, "SOLDIER_RERANKER__API_KEY"],
    [{ status: 404, error: "model not found" }, '"rerank-test"'],
    [{ status: 500, error: "internal" }, "status 500"],
    [{ garbage: "<html>", type: "text/html" }, "makes no sense"],
    [{ garbage: '{"results":[]}', type: "application/json" }, "scored 0 of 2"],
    [
      {
        garbage: '{"results":[{"index":0,"relevance_score":1},{"index":7,"relevance_score":0.5}]}',
        type: "application/json",
      },
      "scored 2 of 2",
    ],
  ])("says what is wrong with %j", async (answer, said) => {
    const { ask } = await serving(() => answer);
    await expect(ask()).rejects.toMatchObject({
      kind: "unavailable",
      reason: "RERANKER_UNAVAILABLE",
      message: expect.stringContaining(said),
    });
  });
  it("says when to come back", async () => {
    const headers = { "retry-after": "3" };
    const { ask } = await serving(() => ({ status: 429, error: "too many", headers }));
    await expect(ask()).rejects.toMatchObject({ retryAfterMs: 3000 });
  });
  it("hangs up when it takes too long, and when it is cancelled", async () => {
    const slow = await serving(() => "silence", 40);
    await expect(slow.ask()).rejects.toMatchObject({ message: expect.stringContaining("40 ms") });
    await slow.server.hungUp(1);
    const cancelled = await serving(() => "silence");
    const leaving = new AbortController();
    const call = cancelled.ask(leaving.signal).catch((error: unknown) => error);
    await cancelled.server.received(1);
    leaving.abort();
    await cancelled.server.hungUp(1);
    expect(await call).toMatchObject({ kind: "cancelled" });
  });
});
