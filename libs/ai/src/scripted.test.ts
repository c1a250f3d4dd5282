import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { ModelRequest } from "./language-model.ts";
import { scriptedModel } from "./scripted.ts";

const hello: ModelRequest = {
  system: [],
  messages: [{ role: "user", text: "Hello there" }],
  maxTokens: 50,
};
const signal = new AbortController().signal;

describe("a scripted model", () => {
  it("may choose its answers by the request and the number of the call", async () => {
    const model = scriptedModel(
      ({ messages, schemaName }, call) => `${call} ${messages.at(-1)?.text} ${schemaName}`,
    );
    expect((await model.generate(hello, signal)).text).toBe("0 Hello there undefined");
    expect((await model.generate(hello, signal)).text).toBe("1 Hello there undefined");
  });
  it("gives values to structured calls, and knows what they were called", async () => {
    const model = scriptedModel([{ json: { rule: "refunds" } }]);
    const asked = { ...hello, schema: z.object({ rule: z.string() }), schemaName: "judgement" };
    expect((await model.structured(asked, signal)).value).toEqual({ rule: "refunds" });
    expect(model.requests[0]?.schemaName).toBe("judgement");
  });
  it("counts its calls and keeps the latest hundred", async () => {
    const model = scriptedModel((_, call) => `${call}`);
    for (let i = 0; i < 120; i++)
      await model.generate({ ...hello, messages: [{ role: "user", text: `${i}` }] }, signal);
    expect(model.calls).toBe(120);
    expect(model.requests).toHaveLength(100);
    expect(model.requests[0]?.messages[0]?.text).toBe("20");
  });
  it("says so when its script ends", async () => {
    await expect(scriptedModel([]).generate(hello, signal)).rejects.toThrow(
      "scripted:model was asked 1 times, its script ends",
    );
  });
  it("ends where the request says", async () => {
    const model = scriptedModel(() => "one two three. four");
    const stopped = await model.generate({ ...hello, stop: [" three", "."] }, signal);
    expect(stopped).toMatchObject({ text: "one two", stopReason: "stop-sequence" });
    const bounded = await model.generate({ ...hello, maxTokens: 3 }, signal);
    expect(bounded).toMatchObject({ text: "one two three.", stopReason: "max-tokens" });
    expect(bounded.usage).toMatchObject({ inputTokens: 2, outputTokens: 3 });
  });
  it("takes the time that it is told to", async () => {
    const model = scriptedModel(["one two"], { delayMs: 30, wordDelayMs: 30 });
    const { firstTokenMs, latencyMs } = await model.generate(hello, signal);
    expect(firstTokenMs).toBeGreaterThan(25);
    expect(latencyMs).toBeGreaterThan(firstTokenMs + 25);
  });
});
