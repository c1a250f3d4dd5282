import { Fault } from "@soldier/kernel/fault";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { ModelCall } from "./language-model.ts";
import { modelSteps, modelTables } from "./model-settings.ts";
import { type Models, openModels } from "./models.ts";
import { anthropicServer } from "./testing.ts";
import { ollamaServer } from "./testing-ollama.ts";
import { openaiServer } from "./testing-openai.ts";

const tables = z.strictObject({
  model: modelTables.model.prefault({}),
  models: modelTables.models.prefault({}),
  model_chains: modelTables.model_chains.prefault({}),
});
type Given = z.input<typeof tables>;

let opened: AsyncDisposableStack;
beforeEach(() => {
  opened = new AsyncDisposableStack();
});
afterEach(() => opened.disposeAsync());

const open = (given: Given): Models => openModels(tables.parse(given));
const scripted = (model: string, reply: string) => ({
  provider: "scripted" as const,
  model,
  scripted: { replies: [reply] },
});
const hello = {
  system: [],
  messages: [{ role: "user", text: "Hello" }],
  maxTokens: 50,
} as const;
const signal = new AbortController().signal;

describe("models without settings", () => {
  it("are none: keyless", () => {
    const models = open({});
    for (const step of modelSteps) expect(models.for(step)).toBeUndefined();
    expect(models.named("anthropic:claude-sonnet-5-5")).toBeUndefined();
  });
  it("are the one of a key, for every step, once there is one", () => {
    const models = open({ model: { api_key: "k" } });
    for (const step of modelSteps) expect(models.for(step)?.id).toBe("anthropic:claude-sonnet-5-5");
  });
});

describe("the chain of a step", () => {
  const given = {
    model: scripted("big", "from big"),
    models: { small: scripted("small", "from small"), spare: scripted("spare", "from spare") },
  };
  it("is its own, or the default's", async () => {
    const models = open({
      ...given,
      model_chains: { default: ["main", "spare"], judge: ["small"], generate: ["spare", "main"] },
    });
    const ids = Object.fromEntries(modelSteps.map((step) => [step, models.for(step)?.id]));
    expect(ids).toEqual({
      judge: "scripted:small",
      context: "scripted:big",
      rules: "scripted:big",
      scenario: "scripted:big",
      tools: "scripted:big",
      choose: "scripted:big",
      generate: "scripted:spare",
      check: "scripted:big",
      critique: "scripted:big",
      extract: "scripted:big",
      summarise: "scripted:big",
    });
    expect((await models.for("judge")?.generate(hello, signal))?.text).toBe("from small");
  });
  it("leaves the model of [model] out when that has no key", () => {
    const models = open({
      models: { small: scripted("small", "hi") },
      model_chains: { default: ["main", "small"], check: ["main"] },
    });
    expect(models.for("generate")?.id).toBe("scripted:small");
    expect(models.for("check")).toBeUndefined();
  });
  it("goes over providers, each on its own wire, and tells what each call was and cost", async () => {
    const anthropic = opened.use(
      await anthropicServer([{ status: 529, error: "overloaded_error" }]),
    );
    const openai = opened.use(await openaiServer([{ status: 401, error: "invalid_api_key" }]));
    const ollama = opened.use(await ollamaServer([{ pieces: ["Hi", "."] }]));
    const models = open({
      model: { provider: "anthropic", api_key: "k", base_url: anthropic.url },
      models: {
        second: { provider: "openai", model: "gpt-test", base_url: `${openai.url}/v1` },
        third: {
          provider: "ollama",
          model: "llama-test",
          base_url: ollama.url,
          prices: { input: 1, output: 2.5 },
        },
      },
      model_chains: { default: ["main", "second", "third"] },
    });
    const calls: ModelCall[] = [];
    const onCall = (call: ModelCall) => calls.push(call);
    const answer = await models.for("generate")?.generate({ ...hello, onCall }, signal);
    expect(answer?.text).toBe("Hi.");
    expect(calls).toMatchObject([
      { model: "anthropic:claude-sonnet-5-5", failed: "MODEL_OVERLOADED" },
      { model: "openai:gpt-test", failed: "MODEL_AUTH" },
      { model: "ollama:llama-test", costMicros: 337 },
    ]);
    expect(openai.headers[0]).not.toHaveProperty("authorization");
  });
  it("remembers a model's limits in all chains that it is in", async () => {
    const server = opened.use(
      await anthropicServer([
        { status: 429, error: "rate_limit_error", headers: { "retry-after": "60" } },
      ]),
    );
    const models = open({
      model: { provider: "anthropic", api_key: "k", base_url: server.url },
      models: { spare: scripted("spare", "from spare") },
      model_chains: { default: ["main", "spare"], judge: ["main", "spare"] },
    });
    for (const step of ["judge", "generate", "check"] as const)
      expect((await models.for(step)?.generate(hello, signal))?.text).toBe("from spare");
    expect(server.requests).toHaveLength(1);
  });
});

describe("what a call costs", () => {
  const costOf = async (model: Given["model"]) => {
    const server = opened.use(await anthropicServer([{ pieces: ["Hi", "."] }]));
    const calls: ModelCall[] = [];
    const models = open({ model: { ...model, api_key: "k", base_url: server.url } });
    await models
      .for("generate")
      ?.generate({ ...hello, onCall: (call) => calls.push(call) }, signal);
    return calls[0]?.costMicros;
  };
  it("is known of the models that we know", async () => {
    // 25 × 2 + 2 × 10 + 300 × 0.1 + 7 × 2.5 = 117.5
    expect(await costOf({ model: "claude-sonnet-5-5" })).toBe(118);
  });
  it("is unknown of others", async () => {
    expect(await costOf({ model: "claude-next" })).toBeUndefined();
  });
  it("is as set, cached tokens at the price of input unless they have their own", async () => {
    expect(await costOf({ prices: { input: 3, output: 10 } })).toBe((25 + 300 + 7) * 3 + 20);
    const prices = { input: 3, output: 10, cached: 0, cache_write: 1 };
    expect(await costOf({ prices })).toBe(25 * 3 + 20 + 7);
  });
});

describe("a model that an agent names", () => {
  const models = () =>
    open({
      model: scripted("big", "from big"),
      models: {
        spare: scripted("spare", "from spare"),
        paid: { provider: "openai", model: "gpt-test", api_key: "k" },
      },
      model_chains: { generate: ["main", "spare"] },
    });
  it.each([
    ["scripted:spare", "scripted:spare"],
    ["openai:gpt-test", "openai:gpt-test"],
    ["openai:vendor/gpt:free", "openai:vendor/gpt:free"],
  ])("%s is %s", (name, id) => {
    expect(models().named(name)?.id).toBe(id);
  });
  it.each(["anthropic:claude-haiku-5-5", "openai:", "gpt-test", "spare", "", ":"])(
    "is unknown when nothing that is set can serve it: %j",
    (name) => {
      expect(models().named(name)).toBeUndefined();
    },
  );
  it("is followed by the chain that writes, itself not again", async () => {
    const server = opened.use(await openaiServer(() => ({ status: 500, error: "server_error" })));
    const given = open({
      model: { provider: "openai", model: "gpt-a", base_url: `${server.url}/v1` },
      models: { spare: scripted("spare", "from spare") },
      model_chains: { generate: ["main", "spare"] },
    });
    const calls: string[] = [];
    const onCall = ({ model }: ModelCall) => calls.push(model);
    const answer = await given.named("openai:gpt-b")?.generate({ ...hello, onCall }, signal);
    expect(answer?.text).toBe("from spare");
    await given.named("openai:gpt-a")?.generate({ ...hello, onCall }, signal);
    expect(calls).toEqual([
      "openai:gpt-b",
      "openai:gpt-a",
      "scripted:spare",
      "openai:gpt-a",
      "scripted:spare",
    ]);
  });
  it("is the same one each time, with what is remembered of it", () => {
    const given = models();
    expect(given.named("openai:gpt-b")).toBe(given.named("openai:gpt-b"));
  });
});

describe("limits of concurrency", () => {
  it("let so many calls through, let so many wait, and refuse the others at once", async () => {
    const server = opened.use(await anthropicServer(() => "silence"));
    const main = open({
      model: { api_key: "k", base_url: server.url, concurrent_max: 2, waiting_max: 1 },
    }).for("generate");
    const leaving = new AbortController();
    const calls = [1, 2, 3].map(async () => main?.generate(hello, leaving.signal).catch(String));
    await server.received(2);
    await expect(main?.generate(hello, signal)).rejects.toMatchObject({
      kind: "exhausted",
      reason: "MODEL_RATE_LIMITED",
      message: expect.stringContaining("concurrent_max"),
    });
    leaving.abort();
    await Promise.all(calls);
    expect(server.requests).toHaveLength(2);
  });
  it("move on along the chain, and are no reason to leave the model alone", async () => {
    const held: (() => void)[] = [];
    const server = opened.use(
      await anthropicServer(
        () => new Promise((resolve) => held.push(() => resolve({ pieces: ["from main"] }))),
      ),
    );
    const chain = open({
      model: { api_key: "k", base_url: server.url, concurrent_max: 1, waiting_max: 0 },
      models: { spare: scripted("spare", "from spare") },
      model_chains: { default: ["main", "spare"] },
    }).for("generate");
    const first = chain?.generate(hello, signal);
    await server.received(1);
    expect((await chain?.generate(hello, signal))?.text).toBe("from spare");
    held[0]?.();
    expect((await first)?.text).toBe("from main");
    const third = chain?.generate(hello, signal);
    await server.received(2);
    held[1]?.();
    expect((await third)?.text).toBe("from main");
  });
});

describe("settings that can't work", () => {
  const problemsOf = (given: Given) => {
    try {
      open(given);
    } catch (error) {
      if (error instanceof Fault) return { reason: error.reason, text: error.message };
      throw error;
    }
    return expect.fail("expected a fault");
  };
  it("say which name in which chain is no model, and which there are", () => {
    const { reason, text } = problemsOf({
      models: { spare: scripted("spare", "hi") },
      model_chains: { judge: ["spair"] },
    });
    expect(reason).toBe("MODEL_SETTINGS");
    expect(text).toContain('judge in [model_chains] names "spair"');
    expect(text).toContain("there are main, spare");
  });
  it("say which key is missing, and where it goes", () => {
    const { text } = problemsOf({
      models: { spare: { provider: "anthropic" }, paid: { provider: "openai", model: "gpt-test" } },
    });
    expect(text).toContain("[models.spare]");
    expect(text).toContain("SOLDIER_MODELS__SPARE__API_KEY");
    expect(text).toContain("SOLDIER_MODELS__PAID__API_KEY");
  });
  it("say where a model is not named that must be", () => {
    const { text } = problemsOf({ models: { local: { provider: "ollama" } } });
    expect(text).toContain('[models.local] names no model of "ollama"');
  });
  it.each([
    [{ models: { main: { provider: "scripted" } } }, "main"],
    [{ models: { "Big One": { provider: "scripted" } } }, "lower-case"],
    [{ models: { spare: { provider: "auto" } } }, "provider"],
    [{ model: { prices: { input: 1 } } }, "input and output"],
    [{ model: { prices: { cached: 1 } } }, "cached"],
    [{ model_chains: { default: [] } }, "default"],
    [{ model_chains: { judging: ["main"] } }, "judging"],
  ])("are refused: %j", (given, named) => {
    expect(tables.safeParse(given).error?.message).toContain(named);
  });
});
