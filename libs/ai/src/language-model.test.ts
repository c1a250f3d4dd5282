import { systemClock } from "@soldier/kernel/clock";
import { describe } from "vitest";
import { anthropicModel } from "./anthropic.ts";
import { chainedModel } from "./chained.ts";
import { health } from "./health.ts";
import { type Behaviour, languageModelContract } from "./language-model.contract.ts";
import { modelFault } from "./language-model.ts";
import { ollamaModel } from "./ollama.ts";
import { openaiModel } from "./openai.ts";
import { type ScriptedAnswer, scriptedModel } from "./scripted.ts";
import { anthropicServer } from "./testing.ts";
import { ollamaServer } from "./testing-ollama.ts";
import { openaiServer } from "./testing-openai.ts";
import { wireContract } from "./wire.contract.ts";

describe("the scripted model", () => {
  languageModelContract(async (behaviours, limits) =>
    scriptedModel(behaviours.map(scripted), { limits }),
  );
});

describe("a chain of models, the first of which is down", () => {
  // Each time it is read an hour has passed, so that nothing rests and nothing is tried last.
  const hourly = { ...systemClock, monotonicMs: () => (hours += 3_600_000) };
  let hours = 0;
  languageModelContract(async (behaviours, limits) => {
    const down = scriptedModel(() => modelFault("MODEL_UNAVAILABLE", "down"), { id: "scripted:a" });
    const up = scriptedModel(behaviours.map(scripted), { limits, id: "scripted:b" });
    return chainedModel([
      { model: down, health: health(hourly) },
      { model: up, health: health(hourly) },
    ]);
  });
});

describe("the Anthropic model, over real sockets", () => {
  wireContract({
    serve: anthropicServer,
    open: (baseUrl, limits) =>
      anthropicModel({
        apiKey: "test-key",
        model: "claude-sonnet-5-5",
        baseUrl,
        thinking: "auto",
        limits,
      }),
    failures: {
      MODEL_OVERLOADED: { status: 529, error: "overloaded_error" },
      MODEL_RATE_LIMITED: { status: 429, error: "rate_limit_error" },
      MODEL_TIMEOUT: { status: 504, error: "timeout_error" },
      MODEL_REFUSED: { pieces: [], stopReason: "refusal" },
      MODEL_AUTH: { status: 401, error: "authentication_error" },
      MODEL_BAD_REQUEST: { status: 400, error: "invalid_request_error" },
      MODEL_BAD_OUTPUT: { status: 500, error: "api_error" },
      MODEL_UNAVAILABLE: { status: 500, error: "api_error" },
    },
    countsCached: true,
    streamType: "text/event-stream",
  });
});

describe("the OpenAI-compatible model, over real sockets", () => {
  wireContract({
    serve: openaiServer,
    open: (url, limits) =>
      openaiModel({ apiKey: "test-key", model: "gpt-test", baseUrl: `${url}/v1`, limits }),
    failures: {
      MODEL_OVERLOADED: { status: 503, error: "server_error" },
      MODEL_RATE_LIMITED: { status: 429, error: "rate_limit_exceeded" },
      MODEL_TIMEOUT: { status: 504, error: "timeout" },
      MODEL_REFUSED: { pieces: [], stopReason: "content_filter" },
      MODEL_AUTH: { status: 401, error: "invalid_api_key" },
      MODEL_BAD_REQUEST: { status: 400, error: "invalid_request_error" },
      MODEL_BAD_OUTPUT: { status: 500, error: "server_error" },
      MODEL_UNAVAILABLE: { status: 500, error: "server_error" },
    },
    countsCached: true,
    streamType: "text/event-stream",
  });
});

describe("the Ollama model, over real sockets", () => {
  wireContract({
    serve: ollamaServer,
    open: (baseUrl, limits) =>
      ollamaModel({
        apiKey: "test-key",
        model: "llama-test",
        baseUrl,
        limits,
        contextTokens: 4096,
      }),
    failures: {
      MODEL_OVERLOADED: { status: 503, error: "server busy, please try again" },
      MODEL_RATE_LIMITED: { status: 429, error: "too many requests" },
      MODEL_TIMEOUT: { status: 504, error: "timed out" },
      MODEL_REFUSED: undefined,
      MODEL_AUTH: { status: 401, error: "unauthorized" },
      MODEL_BAD_REQUEST: { status: 400, error: "invalid options" },
      MODEL_BAD_OUTPUT: { status: 500, error: "the model failed to generate a response" },
      MODEL_UNAVAILABLE: { status: 500, error: "the model failed to generate a response" },
    },
    countsCached: false,
    streamType: "application/x-ndjson",
  });
});

function scripted(behaviour: Behaviour): ScriptedAnswer {
  if ("says" in behaviour) return behaviour.says;
  if ("silentAfter" in behaviour) return { text: behaviour.silentAfter, ending: "silence" };
  const { fails, after, ...options } = behaviour;
  const fault = modelFault(fails, "a failure of the test", options);
  return after === undefined ? fault : { text: after, ending: fault };
}
