import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { LanguageModel, ModelRequest } from "./language-model.ts";
import { type OpenaiOptions, openaiModel } from "./openai.ts";
import {
  type OpenaiAnswer,
  type OpenaiRequest,
  type OpenaiServer,
  openaiServer,
} from "./testing-openai.ts";
import type { Answers } from "./testing-server.ts";

const hello: ModelRequest = {
  system: [{ text: "Be brief.", cacheable: true }, { text: " " }, { text: "It is noon." }],
  messages: [{ role: "user", text: "Hello" }],
  maxTokens: 50,
};
const schema = z.object({ rule: z.string(), score: z.number() });
const asked = { ...hello, schema, schemaName: "judgement" };
const valid = { pieces: ['{"rule":"r",', '"score":1}'] };
const answer = { pieces: ["Hi", "."] };
const signal = new AbortController().signal;

let opened: AsyncDisposableStack;
let server: OpenaiServer;
beforeEach(() => {
  opened = new AsyncDisposableStack();
});
afterEach(() => opened.disposeAsync());

async function open(
  answers: Answers<OpenaiRequest, OpenaiAnswer>,
  options: Partial<OpenaiOptions> = {},
  paths?: readonly string[],
): Promise<LanguageModel> {
  server = opened.use(await openaiServer(answers, paths));
  return openaiModel({
    apiKey: "test-key",
    model: "gpt-test",
    baseUrl: `${server.url}/v1`,
    limits: { timeoutMs: 5000, firstTokenTimeoutMs: 5000 },
    ...options,
  });
}

describe("what is sent", () => {
  it("is the whole request, with the key", async () => {
    const model = await open([answer], { effort: "low" });
    await model.generate({ ...hello, stop: ["\n\n"], temperature: 0.3 }, signal);
    expect(server.requests).toEqual([
      {
        model: "gpt-test",
        stream: true,
        stream_options: { include_usage: true },
        messages: [
          { role: "system", content: "Be brief.\n\nIt is noon." },
          { role: "user", content: "Hello" },
        ],
        max_tokens: 50,
        temperature: 0.3,
        stop: ["\n\n"],
        reasoning_effort: "low",
      },
    ]);
    expect(server.headers[0]?.authorization).toBe("Bearer test-key");
  });
  it("has no key for a server that asks for none", async () => {
    await (await open([answer], { apiKey: "" })).generate(hello, signal);
    expect(server.headers[0]).not.toHaveProperty("authorization");
  });
  it("has Azure's key and version where it wants them", async () => {
    const model = await open([answer], { keyHeader: "api-key", apiVersion: "2026-05-01" }, [
      "/v1/chat/completions?api-version=2026-05-01",
    ]);
    await model.generate(hello, signal);
    expect(server.headers[0]).toMatchObject({ "api-key": "test-key" });
    expect(server.headers[0]).not.toHaveProperty("authorization");
  });
  it("holds a structured answer to the schema", async () => {
    const model = await open([valid]);
    expect((await model.structured(asked, signal)).value).toEqual({ rule: "r", score: 1 });
    expect(server.requests[0]?.response_format).toMatchObject({
      type: "json_schema",
      json_schema: {
        name: "judgement",
        strict: true,
        schema: { additionalProperties: false, required: ["rule", "score"] },
      },
    });
  });
  it("keeps what a strict schema may not say out of it, but not fields of such names", async () => {
    const model = await open([{ pieces: ['{"default":"a","list":[]}'] }]);
    const shape = z.object({
      default: z.string().min(1).max(9),
      list: z.array(z.string()).default([]),
    });
    await model.structured({ ...hello, schema: shape, schemaName: "judgement" }, signal);
    expect(server.requests[0]?.response_format).toEqual({
      type: "json_schema",
      json_schema: {
        name: "judgement",
        strict: true,
        schema: {
          type: "object",
          properties: {
            default: { type: "string" },
            list: { type: "array", items: { type: "string" } },
          },
          required: ["default", "list"],
          additionalProperties: false,
        },
      },
    });
  });
  it("gives a schema with optional fields as a hint", async () => {
    const model = await open([valid]);
    await model.structured({ ...asked, schema: schema.partial() }, signal);
    expect(server.requests[0]?.response_format).toMatchObject({ json_schema: { strict: false } });
  });
});

describe("a server that lacks something", () => {
  /** Refuses each request for which there is a reason, as servers put it. */
  const refusing = (refused: (req: OpenaiRequest) => string | undefined, said = answer) =>
    open((req) => {
      const message = refused(req);
      return message === undefined
        ? said
        : { status: 400, error: "invalid_request_error", message };
    });

  it("is asked for any JSON when it knows no schemas, and for words when it knows no JSON", async () => {
    const model = await refusing(
      ({ response_format }) =>
        response_format && `response_format.type ${response_format.type} is not available`,
      valid,
    );
    expect((await model.structured(asked, signal)).value).toEqual({ rule: "r", score: 1 });
    expect(server.requests.map((req) => req.response_format?.type)).toEqual([
      "json_schema",
      "json_object",
      undefined,
    ]);
    expect(server.requests[2]?.messages[0]?.content).toContain('"score":{"type":"number"}');
    await model.structured(asked, signal);
    expect(server.requests).toHaveLength(4); // it is remembered
  });
  it("gets the new name of a bound when it refuses the old one", async () => {
    const model = await refusing(({ max_tokens }) =>
      max_tokens === undefined
        ? undefined
        : "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    );
    expect((await model.generate(hello, signal)).text).toBe("Hi.");
    expect(server.requests[1]).toMatchObject({ max_completion_tokens: 50 });
  });
  it("gets no temperature when its model takes none", async () => {
    const model = await refusing(({ temperature }) =>
      temperature === undefined
        ? undefined
        : "Unsupported value: 'temperature' does not support 0.2 with this model.",
    );
    for (let i = 0; i < 2; i++)
      expect((await model.generate({ ...hello, temperature: 0.2 }, signal)).text).toBe("Hi.");
    expect(server.requests).toHaveLength(3);
  });
  it("is not asked to count tokens when it can't", async () => {
    const calls: object[] = [];
    const model = await refusing(({ stream_options }) =>
      stream_options ? "stream_options: extra fields not permitted" : undefined,
    );
    const onCall = (call: object) => calls.push(call);
    expect((await model.generate({ ...hello, onCall }, signal)).text).toBe("Hi.");
    expect(calls).toHaveLength(1);
    expect(calls[0]).not.toHaveProperty("usage");
  });
  it("is told once of a request that it can't take at all", async () => {
    const model = await refusing(() => "the prompt is too long");
    await expect(model.structured({ ...asked, temperature: 1 }, signal)).rejects.toMatchObject({
      reason: "MODEL_BAD_REQUEST",
      message: "the model provider rejects the request: the prompt is too long",
    });
    expect(server.requests).toHaveLength(1);
  });
  it("does not go round in circles with one that refuses everything", async () => {
    const model = await refusing(
      () => "max_completion_tokens, temperature, stream_options and response_format are wrong",
    );
    await expect(model.structured({ ...asked, temperature: 1 }, signal)).rejects.toMatchObject({
      reason: "MODEL_BAD_REQUEST",
    });
    expect(server.requests.length).toBeLessThan(8);
  });
});

describe("what comes back", () => {
  it("names the model that answered", async () => {
    expect((await (await open([answer])).generate(hello, signal)).model).toBe(
      "gpt-test-2026-10-01",
    );
  });
  it.each([
    ["stop", "end"],
    ["length", "max-tokens"],
  ])("ends by %s as %s", async (stopReason, expected) => {
    const model = await open([{ pieces: ["Hi"], stopReason }]);
    expect((await model.generate(hello, signal)).stopReason).toBe(expected);
  });
  it("is MODEL_REFUSED when the model declines in words of its own", async () => {
    const model = await open([{ refusal: "I can't help with that." }]);
    await expect(model.generate(hello, signal)).rejects.toMatchObject({ reason: "MODEL_REFUSED" });
  });
  it("leaves out a thought that stands before the answer, in pieces of any size", async () => {
    const model = await open([
      { pieces: ["\n<th", "ink>The customer", " greets.</thi", "nk>\n\nHi"] },
    ]);
    expect((await model.generate(hello, signal)).text).toBe("Hi");
  });
  it("keeps an answer that only looks like a thought", async () => {
    for (const pieces of [["<th", "ing> is <think>"], ["<"], ["a <think>b</think>"]]) {
      const model = await open([{ pieces }]);
      expect((await model.generate(hello, signal)).text).toBe(pieces.join(""));
    }
  });
  it("gives nothing of a thought without an end", async () => {
    const model = await open([{ pieces: ["<think>hm, hm"], stopReason: "length" }]);
    expect(await model.generate(hello, signal)).toMatchObject({
      text: "",
      stopReason: "max-tokens",
    });
  });
});

describe("a failure on the wire", () => {
  it.each([
    [400, "content_filter", "MODEL_REFUSED"],
    [402, "insufficient_credits", "MODEL_AUTH"],
    [403, "forbidden", "MODEL_AUTH"],
    [404, "model_not_found", "MODEL_BAD_REQUEST"],
    [422, "unprocessable", "MODEL_BAD_REQUEST"],
    [429, "insufficient_quota", "MODEL_AUTH"],
    [502, "bad_gateway", "MODEL_UNAVAILABLE"],
    [503, "overloaded", "MODEL_OVERLOADED"],
    [529, "overloaded", "MODEL_OVERLOADED"],
  ])("with status %d and code %s is %s", async (status, error, reason) => {
    const model = await open([{ status, error }]);
    await expect(model.generate(hello, signal)).rejects.toMatchObject({ reason });
  });
  it.each([
    ["429", "MODEL_RATE_LIMITED"],
    ["rate_limit_exceeded", "MODEL_RATE_LIMITED"],
    ["502", "MODEL_UNAVAILABLE"],
    ["server_error", "MODEL_UNAVAILABLE"],
  ])("inside a stream, %s, is %s", async (error, reason) => {
    const model = await open([{ pieces: ["Hi"], ending: { error } }]);
    await expect(model.generate(hello, signal)).rejects.toMatchObject({ reason });
  });
});
