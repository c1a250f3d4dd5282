import { silentLog } from "@soldier/kernel/log";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cohereEmbedder } from "./cohere-embedder.ts";
import { type Embedder, embedderUnavailable, embedOne } from "./embedder.ts";
import { embedderContract } from "./embedder.contract.ts";
import type { HttpEmbedderOptions } from "./http-embedder.ts";
import { ollamaEmbedder } from "./ollama-embedder.ts";
import { openaiEmbedder } from "./openai-embedder.ts";
import {
  cohereEmbeddings,
  type EmbeddingAnswers,
  ollamaEmbeddings,
  openaiEmbeddings,
} from "./testing-embeddings.ts";
import type { WireServer } from "./testing-server.ts";
import { turnstile } from "./turnstile.ts";

const never = new AbortController().signal;
const debugged: object[] = [];
const common: Omit<HttpEmbedderOptions, "provider"> & { readonly apiKey: string } = {
  apiKey: "test-key",
  model: "embed-test:v1",
  dimensions: 64,
  timeoutMs: 5000,
  turnstile: turnstile({
    insideMax: 4,
    waitingMax: 1000,
    overflow: () => embedderUnavailable("too many wait"),
  }),
  log: { ...silentLog, debug: (facts) => debugged.push(facts) },
};
type Common = typeof common;

/** Each provider, with a server that speaks as it does. */
const providers = [
  {
    name: "OpenAI-compatible",
    batch: 256,
    serve: openaiEmbeddings,
    open: (url: string, options: Common) => openaiEmbedder({ ...options, baseUrl: `${url}/v1` }),
  },
  {
    name: "Ollama",
    batch: 64,
    serve: ollamaEmbeddings,
    open: (url: string, options: Common) => ollamaEmbedder({ ...options, baseUrl: `${url}/` }),
  },
  {
    name: "Cohere",
    batch: 96,
    serve: cohereEmbeddings,
    open: (url: string, options: Common) => cohereEmbedder({ ...options, baseUrl: url }),
  },
];

describe.each(providers)("the $name embedder, over real sockets", ({ batch, serve, open }) => {
  embedderContract(async (opened) => open(opened.use(await serve(64)).url, common));

  let opened: AsyncDisposableStack;
  let server: WireServer<object>;
  beforeEach(() => {
    opened = new AsyncDisposableStack();
  });
  afterEach(() => opened.disposeAsync());
  async function serving(
    answers?: EmbeddingAnswers,
    options: Partial<Common> = {},
  ): Promise<Embedder> {
    server = opened.use(await serve(64, answers));
    return open(server.url, { ...common, ...options });
  }

  it("splits what is more than one call takes", async () => {
    const embedder = await serving();
    const texts = Array.from({ length: 2 * batch + 1 }, (_, i) => `text ${i}`);
    const vectors = await embedder.embed(texts, never);
    expect(server.requests).toHaveLength(3);
    expect(vectors).toHaveLength(texts.length);
    expect(vectors.at(-1)).toEqual(await embedOne(embedder, texts.at(-1) ?? "", never));
  });
  it("splits texts that are long together", async () => {
    const embedder = await serving();
    await embedder.embed(
      Array.from({ length: 60 }, () => "a long text ".repeat(600)),
      never,
    );
    expect(server.requests.length).toBeGreaterThan(1);
  });
  it("says in the log that a text was cut, not what it was", async () => {
    debugged.length = 0;
    await embedOne(await serving(), "secret ".repeat(6000), never);
    expect(debugged).toMatchObject([{ model: "embed-test:v1", characters: 42_000 }]);
    expect(JSON.stringify(debugged)).not.toContain("secret");
  });
  it("refuses vectors of another size than is set, and says which to set", async () => {
    const embedder = await serving(undefined, { dimensions: 384 });
    await expect(embedOne(embedder, "Hello", never)).rejects.toMatchObject({
      reason: "EMBEDDER_UNAVAILABLE",
      message: expect.stringContaining("set it to 64"),
    });
  });
  it.each([
    [{ status: 401, error: "no" }, "SOLDIER_EMBEDDER__API_KEY"],
    [{ status: 404, error: "no" }, '"embed-test:v1"'],
    [{ status: 400, error: "no" }, "status 400"],
    [{ garbage: "<html>", type: "text/html" }, "makes no sense"],
    [{ garbage: "{}", type: "application/json" }, "makes no sense"],
  ])("fails at once with %j", async (answer, said) => {
    const embedder = await serving(() => answer);
    await expect(embedOne(embedder, "Hello", never)).rejects.toMatchObject({
      kind: "unavailable",
      reason: "EMBEDDER_UNAVAILABLE",
      message: expect.stringContaining(said),
    });
    expect(server.requests).toHaveLength(1);
  });
  it.each([429, 500, 503])("asks again after status %d, as soon as it may", async (status) => {
    const headers = { "retry-after-ms": "1" };
    const embedder = await serving((call) =>
      call < 2 ? { status, error: "busy", headers } : undefined,
    );
    expect(await embedOne(embedder, "Hello", never)).toHaveLength(64);
    expect(server.requests).toHaveLength(3);
  });
  it("gives up after three times, for all texts, and says when to come back", async () => {
    const headers = { "retry-after-ms": "2" };
    const embedder = await serving(() => ({ status: 429, error: "busy", headers }));
    await expect(embedder.embed(["one", "two"], never)).rejects.toMatchObject({
      reason: "EMBEDDER_UNAVAILABLE",
      retryAfterMs: 2,
    });
    expect(server.requests).toHaveLength(3);
  });
  it("does not wait for a provider that wants to be left alone for long", async () => {
    const headers = { "retry-after": "60" };
    const embedder = await serving(() => ({ status: 429, error: "busy", headers }));
    await expect(embedOne(embedder, "Hello", never)).rejects.toMatchObject({
      retryAfterMs: 60_000,
    });
    expect(server.requests).toHaveLength(1);
  });
  it("hangs up when it takes too long, and when it is cancelled", async () => {
    const slow = await serving(() => "silence", { timeoutMs: 40 });
    await expect(embedOne(slow, "Hello", never)).rejects.toMatchObject({
      message: expect.stringContaining("40 ms"),
    });
    await server.hungUp(1);
    const embedder = await serving(() => "silence");
    const leaving = new AbortController();
    const call = embedOne(embedder, "Hello", leaving.signal).catch((error: unknown) => error);
    await server.received(1);
    leaving.abort();
    await server.hungUp(1);
    expect(await call).toMatchObject({ kind: "cancelled" });
  });
  it("gives up the other calls when one has failed", async () => {
    const embedder = await serving((call) =>
      call === 0 ? { status: 400, error: "no" } : "silence",
    );
    const texts = Array.from({ length: batch + 1 }, (_, i) => `text ${i}`);
    await expect(embedder.embed(texts, never)).rejects.toMatchObject({ kind: "unavailable" });
    await server.hungUp(1);
  });
});

describe("the Cohere embedder", () => {
  it("tells questions and documents apart, and sizes the models that have sizes", async () => {
    await using server = await cohereEmbeddings(64);
    const embedder = cohereEmbedder({ ...common, model: "embed-v4.0", baseUrl: server.url });
    await embedOne(embedder, "Where is my parcel?", never, "query");
    await embedder.embed(["parcels"], never);
    expect(server.requests).toMatchObject([
      { input_type: "search_query", output_dimension: 64 },
      { input_type: "search_document", output_dimension: 64 },
    ]);
  });
});

describe("the OpenAI-compatible embedder", () => {
  it("halves a text until the server's model can read it", async () => {
    const message = "This model's maximum context length is 512 tokens.";
    await using server = await openaiEmbeddings(64, (call) =>
      call < 2 ? { status: 400, error: "invalid_request_error", message } : undefined,
    );
    const embedder = openaiEmbedder({ ...common, baseUrl: `${server.url}/v1` });
    await embedOne(embedder, "order ".repeat(500), never);
    expect(server.requests.map(({ input }) => input[0]?.length)).toEqual([3000, 1500, 750]);
  });
  it("has the sizes of the models that have sizes", async () => {
    await using server = await openaiEmbeddings(64);
    const model = "text-embedding-3-small";
    const embedder = openaiEmbedder({ ...common, model, baseUrl: `${server.url}/v1` });
    await embedOne(embedder, "Hello", never);
    expect(server.requests[0]?.dimensions).toBe(64);
    expect(embedder.model).toBe("openai:text-embedding-3-small:64");
  });
});
