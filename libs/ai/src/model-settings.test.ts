import { Fault } from "@soldier/kernel/fault";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { modelChainsSettings, modelSettings } from "./model-settings.ts";
import { openModels } from "./models.ts";
import { anthropicServer } from "./testing.ts";

const hello = {
  system: [],
  messages: [{ role: "user", text: "Hello" }],
  maxTokens: 50,
} as const;
const never = new AbortController().signal;

/** The model of one table alone. */
function one(table: z.input<typeof modelSettings>) {
  const model = modelSettings.parse(table);
  const tables = { model, models: {}, model_chains: modelChainsSettings.parse({}) };
  return openModels(tables).for("generate");
}

describe("the model's settings", () => {
  it("are keyless when nothing is set", () => {
    expect(one({})).toBeUndefined();
  });
  it("open anthropic by themselves once there is a key", () => {
    expect(one({ api_key: "k", model: "claude-haiku-5-5" })?.id).toBe("anthropic:claude-haiku-5-5");
    expect(one({ api_key: "k", provider: "none" })).toBeUndefined();
  });
  it("open the provider that they name, where they say", async () => {
    await using server = await anthropicServer([{ pieces: ["Hi"] }]);
    const model = one({
      provider: "anthropic",
      api_key: " test-key\n",
      base_url: server.url,
      model: "claude-haiku-5-5",
      effort: "low",
    });
    expect(model?.id).toBe("anthropic:claude-haiku-5-5");
    expect((await model?.generate(hello, never))?.text).toBe("Hi");
    expect(server.requests[0]).toMatchObject({
      model: "claude-haiku-5-5",
      thinking: { type: "disabled" },
      output_config: { effort: "low" },
    });
  });
  it.each(["", "  "])("say what is missing when there is no key (%j)", (api_key) => {
    const open = () => one({ provider: "anthropic", api_key });
    expect(open).toThrow(Fault);
    expect(open).toThrow("SOLDIER_MODEL__API_KEY");
  });
  it("let a script answer, in turn, and by the name of a shape", async () => {
    const model = one({
      provider: "scripted",
      model: "bench",
      scripted: { replies: ["one", "two"], structured: { judgement: '{"rules":[]}' } },
    });
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
  it("send an older model the temperature that newer ones refuse", async () => {
    await using server = await anthropicServer(() => ({ pieces: ["Hi"] }));
    const sent = async (model: string, temperature: number) => {
      const opened = one({ api_key: "k", base_url: server.url, model });
      await opened?.generate({ ...hello, temperature }, never);
      return server.requests.at(-1)?.temperature;
    };
    expect(await sent("claude-sonnet-4-5-20250929", 0.2)).toBe(0.2);
    expect(await sent("claude-opus-4-6", 1.4)).toBe(1);
    for (const model of ["claude-sonnet-5-5", "claude-opus-4-7", "claude-haiku-5-5"])
      expect(await sent(model, 0.2)).toBeUndefined();
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
