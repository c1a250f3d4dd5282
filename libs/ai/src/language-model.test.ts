import { describe } from "vitest";
import { anthropicModel } from "./anthropic.ts";
import { type Behaviour, languageModelContract } from "./language-model.contract.ts";
import { modelFault, type ModelFaultReason } from "./language-model.ts";
import { type ScriptedAnswer, scriptedModel } from "./scripted.ts";
import { anthropicServer, type WireAnswer } from "./testing.ts";

describe("the scripted model", () => {
  languageModelContract(async (behaviours, limits) =>
    scriptedModel(behaviours.map(scripted), { limits }),
  );
});

describe("the Anthropic model, over real sockets", () => {
  languageModelContract(async (behaviours, limits, opened) => {
    const server = opened.use(await anthropicServer(behaviours.map(onTheWire)));
    return anthropicModel({
      apiKey: "test-key",
      model: "claude-sonnet-5-5",
      baseUrl: server.url,
      thinking: "auto",
      limits,
    });
  });
});

function scripted(behaviour: Behaviour): ScriptedAnswer {
  if ("says" in behaviour) return behaviour.says;
  if ("silentAfter" in behaviour) return { text: behaviour.silentAfter, ending: "silence" };
  const { fails, after, ...options } = behaviour;
  const fault = modelFault(fails, "a failure of the test", options);
  return after === undefined ? fault : { text: after, ending: fault };
}

function onTheWire(behaviour: Behaviour): WireAnswer {
  if ("says" in behaviour) return { pieces: words(behaviour.says) };
  if ("silentAfter" in behaviour)
    return behaviour.silentAfter === ""
      ? "silence"
      : { pieces: words(behaviour.silentAfter), ending: "silence" };
  const { fails, after, retryAfterMs } = behaviour;
  if (after !== undefined) return { pieces: words(after), ending: "cut" };
  if (fails === "MODEL_REFUSED") return { pieces: [], stopReason: "refusal" };
  const headers = retryAfterMs === undefined ? {} : { "retry-after": String(retryAfterMs / 1000) };
  return { ...statuses[fails], headers };
}

const statuses: Record<
  Exclude<ModelFaultReason, "MODEL_REFUSED">,
  { readonly status: number; readonly error: string }
> = {
  MODEL_OVERLOADED: { status: 529, error: "overloaded_error" },
  MODEL_RATE_LIMITED: { status: 429, error: "rate_limit_error" },
  MODEL_TIMEOUT: { status: 504, error: "timeout_error" },
  MODEL_AUTH: { status: 401, error: "authentication_error" },
  MODEL_BAD_REQUEST: { status: 400, error: "invalid_request_error" },
  MODEL_BAD_OUTPUT: { status: 500, error: "api_error" },
  MODEL_UNAVAILABLE: { status: 500, error: "api_error" },
};

function words(text: string): string[] {
  return text.match(/\s*\S+/g) ?? [];
}
