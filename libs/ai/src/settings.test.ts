import { Fault } from "@soldier/kernel/fault";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { embedOne } from "./embedder.ts";
import { deterministicEmbedder } from "./deterministic.ts";
import { embedderSettings, openEmbedder, openReranker, rerankerSettings } from "./settings.ts";
import { cohereRerank, openaiEmbeddings } from "./testing-embeddings.ts";

const never = new AbortController().signal;

describe("the embedder's settings", () => {
  it("open the local model when nothing is set, and close it", async () => {
    const opened = new AsyncDisposableStack();
    const embedder = openEmbedder(embedderSettings.parse({}), opened);
    expect(embedder.model).toBe("local:minilm-l6-v2:fp16");
    expect(await embedOne(embedder, "Hello", never)).toHaveLength(384);
    await opened.disposeAsync();
    await expect(embedOne(embedder, "Hello", never)).rejects.toMatchObject({
      reason: "EMBEDDER_UNAVAILABLE",
    });
  });
  it("open the deterministic one in the dimensions they say", async () => {
    await using opened = new AsyncDisposableStack();
    const settings = embedderSettings.parse({ provider: "deterministic", dimensions: 64 });
    const vector = await embedOne(openEmbedder(settings, opened), "Hello", never);
    expect(vector).toHaveLength(64);
  });
  it("open a provider where they say, with its key", async () => {
    await using opened = new AsyncDisposableStack();
    const server = opened.use(await openaiEmbeddings(64));
    const settings = embedderSettings.parse({
      provider: "openai",
      model: "embed-test",
      dimensions: 64,
      api_key: " test-key\n",
      api_key_header: "api-key",
      base_url: `${server.url}/v1`,
    });
    expect(await embedOne(openEmbedder(settings, opened), "Hello", never)).toHaveLength(64);
    expect(server.headers[0]).toMatchObject({ "api-key": "test-key" });
  });
  it.each([
    [{ provider: "openai", api_key: "k" }, "set model"],
    [{ provider: "cohere", model: "m" }, "SOLDIER_EMBEDDER__API_KEY"],
    [{ provider: "local", dimensions: 1536 }, "384"],
  ] as const)("that can't work say so: %j", async (table, said) => {
    await using opened = new AsyncDisposableStack();
    const open = (given: z.input<typeof embedderSettings>) =>
      openEmbedder(embedderSettings.parse(given), opened);
    expect(() => open(table)).toThrow(Fault);
    expect(() => open(table)).toThrow(said);
  });
});

describe("the reranker's settings", () => {
  const open = (given: z.input<typeof rerankerSettings>) =>
    openReranker(rerankerSettings.parse(given), deterministicEmbedder(8));
  it("open none when nothing is set", () => {
    expect(open({}).id).toBe("none");
  });
  it("open Cohere's, or a server that speaks as it does", async () => {
    await using server = await cohereRerank();
    const reranker = open({ provider: "cohere", model: "m", base_url: server.url });
    expect(reranker.id).toBe("cohere:m");
    const candidates = ["one", "two"].map((text) => ({ text, score: 0 }));
    expect((await reranker.rerank("two", candidates, never))[0]?.index).toBe(1);
  });
  it.each([
    [{ provider: "cohere", api_key: "k" }, "set model"],
    [{ provider: "cohere", model: "m" }, "SOLDIER_RERANKER__API_KEY"],
  ] as const)("that can't work say so: %j", (table, said) => {
    expect(() => open(table)).toThrow(said);
  });
});
