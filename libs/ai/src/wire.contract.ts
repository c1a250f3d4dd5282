import { Fault } from "@soldier/kernel/fault";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Limits } from "./exchange.ts";
import { type Behaviour, languageModelContract } from "./language-model.contract.ts";
import type { LanguageModel, ModelCall, ModelFaultReason, ModelRequest } from "./language-model.ts";
import { type Failed, type WireAnswer, type WireServer, wireTokens } from "./testing-server.ts";

/** A provider, and a local server that speaks as it does. */
export interface Provider {
  serve(answers: readonly WireAnswer[]): Promise<WireServer<unknown>>;
  open(url: string, limits: Limits): LanguageModel;
  /** How the provider puts a failure before the first word. */
  readonly failures: Readonly<Record<Exclude<ModelFaultReason, "MODEL_REFUSED">, Failed>> & {
    /** Undefined when the provider has no word for it. */
    readonly MODEL_REFUSED: WireAnswer | undefined;
  };
  /** Whether it tells which tokens came from its cache. */
  readonly countsCached: boolean;
  /** The type of a streamed answer's body. */
  readonly streamType: string;
}

const request: ModelRequest = {
  system: [{ text: "You are the desk of a shop.", cacheable: true }],
  messages: [{ role: "user", text: "Where is my order?" }],
  maxTokens: 50,
};
const long: Limits = { timeoutMs: 10_000, firstTokenTimeoutMs: 10_000 };
const never = () => new AbortController().signal;

/** What every model must do that is reached over a connection: the model contract, and what breaks. */
export function wireContract(provider: Provider): void {
  languageModelContract(
    async (behaviours, limits, opened) => {
      const answers = behaviours.map((behaviour) => onTheWire(behaviour, provider));
      return provider.open(opened.use(await provider.serve(answers)).url, limits);
    },
    provider.failures.MODEL_REFUSED ? [] : ["MODEL_REFUSED"],
  );

  let opened: AsyncDisposableStack;
  let server: WireServer<unknown>;
  beforeEach(() => {
    opened = new AsyncDisposableStack();
  });
  afterEach(() => opened.disposeAsync());
  async function serving(answers: readonly WireAnswer[], limits = long): Promise<LanguageModel> {
    server = opened.use(await provider.serve(answers));
    return provider.open(server.url, limits);
  }

  describe("the connection", () => {
    it("is given up when the call is cancelled before the first word", async () => {
      const model = await serving(["silence"]);
      const leaving = new AbortController();
      const call = failureOf(model.generate(request, leaving.signal));
      await server.received(1);
      leaving.abort();
      await server.hungUp(1);
      expect(await call).toMatchObject({ kind: "cancelled" });
    });
    it("is given up when the reader leaves", async () => {
      const model = await serving([{ pieces: ["Hi"], ending: "silence" }]);
      for await (const _ of model.stream(request, never())) break;
      await server.hungUp(1);
    });
    it("is given up when the first word takes too long", async () => {
      const model = await serving(["silence"], { ...long, firstTokenTimeoutMs: 40 });
      await failureOf(model.generate(request, never()));
      await server.hungUp(1);
    });
    it("is given up when the end takes too long", async () => {
      const model = await serving([{ pieces: ["Hi"], ending: "silence" }], {
        ...long,
        timeoutMs: 200,
      });
      expect(await failureOf(model.generate(request, never()))).toMatchObject({
        reason: "MODEL_TIMEOUT",
      });
      await server.hungUp(1);
    });
    it.each(["cut", "close"] as const)("fails the call when it ends by %s", async (ending) => {
      const model = await serving([{ pieces: ["Well"], ending }]);
      expect(await failureOf(model.generate(request, never()))).toMatchObject({
        reason: "MODEL_UNAVAILABLE",
      });
    });
    it("fails the call when nobody listens", async () => {
      const model = await serving([]);
      await server[Symbol.asyncDispose]();
      expect(await failureOf(model.generate(request, never()))).toMatchObject({
        reason: "MODEL_UNAVAILABLE",
      });
    });
  });

  describe("a body that makes no sense", () => {
    it.each([
      ["a page", { garbage: "<html><body>Welcome</body></html>", type: "text/html" }],
      ["nothing", { garbage: "", type: "" }],
      ["other JSON", { garbage: '{"hello":"there"}\n', type: "application/json" }],
      ["half of JSON", { garbage: 'data: {"a":\n\n{"a":\n', type: "" }],
      ["a stream of something else", { garbage: 'data: {"a":1}\n\n{"a":1}\n', type: "" }],
      ["zeroes", { garbage: "\u0000".repeat(100), type: "" }],
    ])("is MODEL_UNAVAILABLE: %s", async (_, { garbage, type }) => {
      const model = await serving([{ garbage, type: type || provider.streamType }]);
      expect(await failureOf(model.generate(request, never()))).toMatchObject({
        reason: "MODEL_UNAVAILABLE",
      });
    });
    it("is told by its status when a proxy sends it", async () => {
      for (const [status, reason] of [
        [502, "MODEL_UNAVAILABLE"],
        [504, "MODEL_TIMEOUT"],
      ] as const) {
        const model = await serving([{ status, error: "<html>" }]);
        expect(await failureOf(model.generate(request, never()))).toMatchObject({ reason });
      }
    });
  });

  describe("a failure", () => {
    it.each([
      ["seconds", { "retry-after": "2" }, 2000],
      ["a date gone by", { "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT" }, 0],
      ["nothing", {}, undefined],
      ["nonsense", { "retry-after": "soon" }, undefined],
    ])("says when to come back, from %s", async (_, headers, retryAfterMs) => {
      const model = await serving([{ ...provider.failures.MODEL_RATE_LIMITED, headers }]);
      const fault = await failureOf(model.generate(request, never()));
      expect(fault instanceof Fault && fault.retryAfterMs).toBe(retryAfterMs);
    });
    it("inside a stream is one of the provider", async () => {
      const model = await serving([{ pieces: ["Hi"], ending: { error: "api_error" } }]);
      expect(await failureOf(model.generate(request, never()))).toMatchObject({
        reason: "MODEL_UNAVAILABLE",
      });
    });
    it.each(["MODEL_AUTH", "MODEL_BAD_REQUEST", "MODEL_OVERLOADED"] as const)(
      "of the kind %s never holds the key, or what the customer said",
      async (reason) => {
        const model = await serving([provider.failures[reason]]);
        const fault = await failureOf(model.generate(request, never()));
        expect(String(fault)).not.toMatch(/test-key|Where is my order/);
      },
    );
    it("of the account names the setting", async () => {
      const model = await serving([provider.failures.MODEL_AUTH]);
      const fault = await failureOf(model.generate(request, never()));
      expect(String(fault)).toContain("SOLDIER_MODEL__API_KEY");
    });
  });

  it("counts the tokens, those from the provider's cache apart", async () => {
    const model = await serving([{ pieces: ["It", " is", " here."] }]);
    const { fresh, read, written } = wireTokens;
    expect((await model.generate(request, never())).usage).toEqual(
      provider.countsCached
        ? { inputTokens: fresh, outputTokens: 3, cacheReadTokens: read, cacheWriteTokens: written }
        : {
            inputTokens: fresh + read + written,
            outputTokens: 3,
            cacheReadTokens: 0,
            cacheWriteTokens: 0,
          },
    );
  });
  it("leaves out what the model thought", async () => {
    const model = await serving([{ pieces: ["Hi."], thinking: "The customer says hello." }]);
    expect((await model.generate(request, never())).text).toBe("Hi.");
  });
  it("tells of a call what both of its answers used, when neither fits the shape", async () => {
    const calls: ModelCall[] = [];
    const model = await serving([{ pieces: ["no"] }, { pieces: ["still", " no"] }]);
    const schema = z.object({ rule: z.string() });
    const onCall = (call: ModelCall) => calls.push(call);
    await failureOf(
      model.structured({ ...request, onCall, schema, schemaName: "judgement" }, never()),
    );
    expect(calls).toMatchObject([{ failed: "MODEL_BAD_OUTPUT", usage: { outputTokens: 3 } }]);
  });
}

function onTheWire(behaviour: Behaviour, { failures }: Provider): WireAnswer {
  if ("says" in behaviour) return { pieces: words(behaviour.says) };
  if ("silentAfter" in behaviour)
    return behaviour.silentAfter === ""
      ? "silence"
      : { pieces: words(behaviour.silentAfter), ending: "silence" };
  const { fails, after, retryAfterMs } = behaviour;
  if (after !== undefined) return { pieces: words(after), ending: "cut" };
  const failure = fails === "MODEL_REFUSED" ? undefined : failures[fails];
  if (!failure || retryAfterMs === undefined)
    return failure ?? failures.MODEL_REFUSED ?? { status: 500, error: "unknown" };
  return { ...failure, headers: { "retry-after": String(retryAfterMs / 1000) } };
}

function words(text: string): string[] {
  return text.match(/\s*\S+/g) ?? [];
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => expect.fail(`expected a failure, got ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
}
