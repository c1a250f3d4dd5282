import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { LanguageModel, ModelRequest } from "./language-model.ts";
import { type OllamaOptions, ollamaModel } from "./ollama.ts";
import { type OllamaServer, ollamaServer } from "./testing-ollama.ts";
import type { WireAnswer } from "./testing-server.ts";

const hello: ModelRequest = {
  system: [{ text: "Be brief." }, { text: "It is noon." }],
  messages: [{ role: "user", text: "Hello" }],
  maxTokens: 50,
};
const answer = { pieces: ["Hi", "."] };
const signal = new AbortController().signal;

let opened: AsyncDisposableStack;
let server: OllamaServer;
beforeEach(() => {
  opened = new AsyncDisposableStack();
});
afterEach(() => opened.disposeAsync());

async function open(
  answers: readonly WireAnswer[],
  options: Partial<OllamaOptions> = {},
): Promise<LanguageModel> {
  server = opened.use(await ollamaServer(answers));
  return ollamaModel({
    model: "llama-test:3b",
    baseUrl: `${server.url}/`,
    limits: { timeoutMs: 5000, firstTokenTimeoutMs: 5000 },
    contextTokens: 8192,
    ...options,
  });
}

describe("what is sent to Ollama", () => {
  it("is the whole request, with room for the prompt", async () => {
    const model = await open([answer], { thinking: "auto" });
    await model.generate({ ...hello, stop: ["\n\n"], temperature: 0.3 }, signal);
    expect(server.requests).toEqual([
      {
        model: "llama-test:3b",
        stream: true,
        messages: [
          { role: "system", content: "Be brief.\n\nIt is noon." },
          { role: "user", content: "Hello" },
        ],
        think: false,
        options: { num_ctx: 8192, num_predict: 50, temperature: 0.3, stop: ["\n\n"] },
      },
    ]);
    expect(server.headers[0]).not.toHaveProperty("authorization");
  });
  it("holds a structured answer to the schema, and shows it to the model", async () => {
    const model = await open([{ pieces: ['```json\n{"rule":"r"}\n```'] }]);
    const schema = z.object({ rule: z.string() });
    const judged = await model.structured({ ...hello, schema, schemaName: "judgement" }, signal);
    expect(judged).toMatchObject({ value: { rule: "r" }, attempts: 1 });
    expect(server.requests[0]?.format).toEqual({
      type: "object",
      properties: { rule: { type: "string" } },
      required: ["rule"],
    });
    expect(server.requests[0]?.messages[0]?.content).toContain('"rule":{"type":"string"}');
  });
  it.each([
    [{ thinking: "adaptive" }, undefined],
    [{ thinking: "disabled" }, false],
    [{ thinking: "auto", effort: "low" }, "low"],
  ] as const)("with %j asks to think: %j", async (options, think) => {
    await (await open([answer], options)).generate(hello, signal);
    expect(server.requests[0]?.think).toBe(think);
  });
  it("has a key for a server behind a proxy that asks for one", async () => {
    await (await open([answer], { apiKey: "k" })).generate(hello, signal);
    expect(server.headers[0]?.authorization).toBe("Bearer k");
  });
});

describe("what comes back from Ollama", () => {
  it("ends by length as max-tokens", async () => {
    const model = await open([{ pieces: ["Hi"], stopReason: "length" }]);
    expect(await model.generate(hello, signal)).toMatchObject({
      stopReason: "max-tokens",
      model: "llama-test:3b",
    });
  });
  it("is MODEL_BAD_REQUEST when the server has no such model, and names it", async () => {
    const model = await open([{ status: 404, error: "model 'llama-test:3b' not found" }]);
    await expect(model.generate(hello, signal)).rejects.toMatchObject({
      reason: "MODEL_BAD_REQUEST",
      message: expect.stringContaining('"llama-test:3b"'),
    });
  });
});
