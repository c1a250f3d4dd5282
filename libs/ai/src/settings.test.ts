import { Fault } from "@soldier/kernel/fault";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { embedOne } from "./embedder.ts";
import { embedderSettings, modelSettings, openEmbedder, openModel } from "./settings.ts";
import { anthropicServer } from "./testing.ts";

const hello = {
  system: [],
  messages: [{ role: "user", text: "Hello" }],
  maxTokens: 50,
} as const;
const never = new AbortController().signal;
const read = (table: z.input<typeof modelSettings>) => modelSettings.parse(table);

describe("the model's settings", () => {
  it("are keyless when nothing is set", () => {
    expect(openModel(read({}))).toBeUndefined();
  });
  it("open anthropic by themselves once there is a key", () => {
    expect(openModel(read({ api_key: "k", model: "claude-haiku-5-5" }))?.id).toBe(
      "anthropic:claude-haiku-5-5",
    );
    expect(openModel(read({ api_key: "k", provider: "none" }))).toBeUndefined();
  });
  it("open the provider that they name, where they say", async () => {
    await using server = await anthropicServer([{ pieces: ["Hi"] }]);
    const model = openModel(
      read({
        provider: "anthropic",
        api_key: " test-key\n",
        base_url: server.url,
        model: "claude-haiku-5-5",
        effort: "low",
      }),
    );
    expect(model?.id).toBe("anthropic:claude-haiku-5-5");
    expect((await model?.generate(hello, never))?.text).toBe("Hi");
    expect(server.requests[0]).toMatchObject({
      model: "claude-haiku-5-5",
      thinking: { type: "disabled" },
      output_config: { effort: "low" },
    });
  });
  it.each(["", "  "])("say what is missing when there is no key (%j)", (api_key) => {
    const open = () => openModel(read({ provider: "anthropic", api_key }));
    expect(open).toThrow(Fault);
    expect(open).toThrow("SOLDIER_MODEL__API_KEY");
  });
  it("let a script answer, in turn, and by the name of a shape", async () => {
    const model = openModel(
      read({
        provider: "scripted",
        model: "bench",
        scripted: { replies: ["one", "two"], structured: { judgement: '{"rules":[]}' } },
      }),
    );
    expect(model?.id).toBe("scripted:bench");
    const texts = [];
    for (let i = 0; i < 3; i++) texts.push((await model?.generate(hello, never))?.text);
    expect(texts).toEqual(["one", "two", "one"]);
    const schema = z.object({ rules: z.array(z.string()) });
    const judged = await model?.structured({ ...hello, schema, schemaName: "judgement" }, never);
    expect(judged?.value).toEqual({ rules: [] });
    await expect(
      model?.structured({ ...hello, schema, schemaName: "other" }, never),
    ).rejects.toMatchObject({ reason: "MODEL_BAD_OUTPUT" });
  });
  it.each([
    [{ provider: "openly" }, "provider"],
    [{ api_kee: "x" }, "api_kee"],
    [{ timeout_ms: 0 }, "timeout_ms"],
    [{ base_url: "ftp://example.com" }, "base_url"],
    [{ scripted: { replies: [] } }, "replies"],
    [{ concurrent_max: 0 }, "concurrent_max"],
  ])("refuse %j, naming the key", (table, key) => {
    const { error } = modelSettings.safeParse(table);
    expect(error?.message).toContain(key);
  });
});

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
});
