import { Fault } from "@soldier/kernel/fault";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { type AnthropicOptions, anthropicModel } from "./anthropic.ts";
import type { LanguageModel, ModelRequest } from "./language-model.ts";
import { type AnthropicServer, anthropicServer, type WireAnswer } from "./testing.ts";

const hello: ModelRequest = {
  system: [{ text: "Be brief." }],
  messages: [{ role: "user", text: "Hello" }],
  maxTokens: 50,
};
const answer: WireAnswer = { pieces: ["Hi", "."] };
const signal = new AbortController().signal;

let opened: AsyncDisposableStack;
let server: AnthropicServer;
beforeEach(() => {
  opened = new AsyncDisposableStack();
});
afterEach(() => opened.disposeAsync());

async function open(
  answers: readonly WireAnswer[],
  options: Partial<AnthropicOptions> = {},
): Promise<LanguageModel> {
  server = opened.use(await anthropicServer(answers));
  return anthropicModel({
    apiKey: "test-key",
    model: "claude-sonnet-5-5",
    baseUrl: server.url,
    thinking: "auto",
    limits: { timeoutMs: 5000, firstTokenTimeoutMs: 5000 },
    ...options,
  });
}

describe("what is sent", () => {
  it("is the whole request, with the key", async () => {
    await (await open([answer])).generate({ ...hello, stop: ["\n\n"] }, signal);
    expect(server.requests).toEqual([
      {
        model: "claude-sonnet-5-5",
        max_tokens: 50,
        stream: true,
        system: [{ type: "text", text: "Be brief." }],
        messages: [{ role: "user", content: "Hello" }],
        stop_sequences: ["\n\n"],
        thinking: { type: "between_tools" },
      },
    ]);
    expect(JSON.stringify(server.headers)).toContain("test-key");
  });
  it("marks the last four ends of what is stable, and leaves out empty blocks", async () => {
    const system = [
      ...Array.from({ length: 5 }, (_, i) => ({ text: `stable ${i}`, cacheable: true })),
      { text: " ", cacheable: true },
      { text: "changing" },
    ];
    await (await open([answer])).generate({ ...hello, system }, signal);
    const sent = server.requests[0]?.system ?? [];
    expect(sent.map(({ text }) => text)).toEqual([
      ...Array.from({ length: 5 }, (_, i) => `stable ${i}`),
      "changing",
    ]);
    expect(sent.map((block) => block.cache_control !== undefined)).toEqual([
      false,
      true,
      true,
      true,
      true,
      false,
    ]);
  });
  it.each([
    ["claude-haiku-5-5", undefined, { type: "disabled" }],
    ["claude-sonnet-5-5", "high", { type: "between_tools" }],
    ["claude-sonnet-5-5", "max", undefined],
    ["claude-opus-5-5", undefined, undefined],
    ["one-that-we-don't-know", undefined, undefined],
  ] as const)("asks %s with effort %s for as little thinking as it allows", async (...given) => {
    const [model, effort, thinking] = given;
    await (await open([answer], { model, effort })).generate(hello, signal);
    expect(server.requests[0]?.thinking).toEqual(thinking);
    expect(server.requests[0]?.output_config?.effort).toBe(effort);
  });
  it("takes the setting's word for how to think", async () => {
    await (await open([answer], { thinking: "adaptive" })).generate(hello, signal);
    expect(server.requests[0]?.thinking).toEqual({ type: "adaptive" });
  });
  it("holds a structured answer to the schema, and asks again with what was wrong", async () => {
    const schema = z.object({ rule: z.string(), score: z.number().min(0).max(1) });
    const model = await open([{ pieces: ['{"rule":"r",', '"score":2}'] }, { pieces: ["{}"] }]);
    const asked = { ...hello, schema, schemaName: "judgement" };
    expect(await failureOf(model.structured(asked, signal))).toMatchObject({
      reason: "MODEL_BAD_OUTPUT",
    });
    expect(server.requests[0]?.output_config?.format?.schema).toMatchObject({
      type: "object",
      additionalProperties: false,
      required: ["rule", "score"],
      properties: { rule: { type: "string" }, score: { type: "number" } },
    });
    const [, said, complaint] = server.requests[1]?.messages ?? [];
    expect(said).toEqual({ role: "assistant", content: '{"rule":"r","score":2}' });
    expect(complaint?.role).toBe("user");
    expect(complaint?.content).toContain("score");
    expect(server.requests[1]?.output_config).toEqual(server.requests[0]?.output_config);
  });
});

describe("what comes back", () => {
  it("names the model that answered and what it cost, cached tokens apart", async () => {
    expect(await (await open([answer])).generate(hello, signal)).toMatchObject({
      text: "Hi.",
      model: "claude-sonnet-5-5-20261001",
      usage: { inputTokens: 25, outputTokens: 2, cacheReadTokens: 300, cacheWriteTokens: 7 },
    });
  });
  it("leaves out what the model thought", async () => {
    const model = await open([{ ...answer, thinking: "The customer says hello." }]);
    expect((await model.generate(hello, signal)).text).toBe("Hi.");
  });
  it.each([
    ["max_tokens", "max-tokens"],
    ["model_context_window_exceeded", "max-tokens"],
    ["stop_sequence", "stop-sequence"],
    ["end_turn", "end"],
  ])("ends by %s as %s", async (stopReason, expected) => {
    const model = await open([{ pieces: ["Hi"], stopReason }]);
    expect((await model.generate(hello, signal)).stopReason).toBe(expected);
  });
  it("does not ask again for a structured answer that was too long", async () => {
    const model = await open([{ pieces: ['{"ru'], stopReason: "max_tokens" }]);
    const asked = { ...hello, schema: z.object({ rule: z.string() }), schemaName: "judgement" };
    expect(await failureOf(model.structured(asked, signal))).toMatchObject({
      reason: "MODEL_BAD_OUTPUT",
      message: "the model's judgement is longer than the 50 tokens allowed",
    });
    expect(server.requests).toHaveLength(1);
  });
});

describe("a failure on the wire", () => {
  const failing = async (wire: WireAnswer) =>
    failureOf((await open([wire])).generate(hello, signal));

  it.each([
    ["overloaded_error", "MODEL_OVERLOADED"],
    ["rate_limit_error", "MODEL_RATE_LIMITED"],
    ["api_error", "MODEL_UNAVAILABLE"],
  ])("inside a stream, %s, is %s", async (error, reason) => {
    expect(await failing({ pieces: ["Hi"], ending: { error } })).toMatchObject({ reason });
  });
  it("is MODEL_UNAVAILABLE when a stream closes without its end", async () => {
    expect(await failing({ pieces: ["Hi"], ending: "close" })).toMatchObject({
      reason: "MODEL_UNAVAILABLE",
      message: "the model's answer broke off",
    });
  });
  it("is MODEL_REFUSED when the model stops in the middle to refuse", async () => {
    expect(await failing({ pieces: ["Well"], stopReason: "refusal" })).toMatchObject({
      reason: "MODEL_REFUSED",
    });
  });
  it.each([
    [402, "billing_error", "MODEL_AUTH"],
    [403, "permission_error", "MODEL_AUTH"],
    [404, "not_found_error", "MODEL_BAD_REQUEST"],
    [413, "request_too_large", "MODEL_BAD_REQUEST"],
    [502, "html from a proxy", "MODEL_UNAVAILABLE"],
    [503, "html from a proxy", "MODEL_OVERLOADED"],
    [504, "timeout_error", "MODEL_TIMEOUT"],
  ])("with status %d and type %s is %s", async (status, error, reason) => {
    expect(await failing({ status, error })).toMatchObject({ reason });
  });
  it("says which setting to look at, and never the key", async () => {
    const refused = await failing({ status: 401, error: "authentication_error" });
    expect(refused).toMatchObject({ message: expect.stringContaining("SOLDIER_MODEL__API_KEY") });
    expect(String(refused)).not.toContain("test-key");
    const unknown = await failing({ status: 404, error: "not_found_error" });
    expect(unknown).toMatchObject({ message: expect.stringContaining('"claude-sonnet-5-5"') });
  });
  it.each([
    ["milliseconds", { "retry-after-ms": "250", "retry-after": "9" }, 250],
    ["seconds", { "retry-after": "2" }, 2000],
    ["a date gone by", { "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT" }, 0],
    ["nothing", {}, undefined],
    ["nonsense", { "retry-after": "soon" }, undefined],
  ])("reads when to come back from %s", async (_, headers, retryAfterMs) => {
    const fault = await failing({ status: 429, error: "rate_limit_error", headers });
    expect(fault instanceof Fault && fault.retryAfterMs).toBe(retryAfterMs);
  });
  it("is MODEL_UNAVAILABLE when nobody listens", async () => {
    const model = await open([]);
    await server[Symbol.asyncDispose]();
    expect(await failureOf(model.generate(hello, signal))).toMatchObject({
      reason: "MODEL_UNAVAILABLE",
    });
  });
});

describe("a call that nobody waits for", () => {
  it("hangs up when its reader leaves", async () => {
    const model = await open([{ pieces: ["Hi"], ending: "silence" }]);
    for await (const _ of model.stream(hello, signal)) break;
    await server.hungUp(1);
  });
  it("hangs up when it is cancelled before the first word", async () => {
    const model = await open(["silence"]);
    const leaving = new AbortController();
    const call = failureOf(model.generate(hello, leaving.signal));
    await server.received(1);
    leaving.abort();
    await server.hungUp(1);
    expect(await call).toMatchObject({ kind: "cancelled" });
  });
});

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => expect.fail(`expected a failure, got ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
}
