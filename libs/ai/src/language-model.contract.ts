import { Fault } from "@soldier/kernel/fault";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Limits } from "./exchange.ts";
import {
  type GenerationChunk,
  type LanguageModel,
  type ModelCall,
  type ModelFaultReason,
  type ModelRequest,
} from "./language-model.ts";

/** How the model under test is to behave in one call. */
export type Behaviour =
  | { readonly says: string }
  | { readonly fails: ModelFaultReason; readonly retryAfterMs?: number; readonly after?: string }
  /** Says nothing, or nothing more, for ever. */
  | { readonly silentAfter: string };

/** A model that behaves as listed, one call after the other, within the limits. */
export type OpenModel = (
  behaviours: readonly Behaviour[],
  limits: Limits,
  opened: AsyncDisposableStack,
) => Promise<LanguageModel>;

const request: ModelRequest = {
  system: [
    { text: "You are the desk of a shop.", cacheable: true },
    { text: "The customer is waiting." },
  ],
  messages: [
    { role: "user", text: "Hello" },
    { role: "assistant", text: "How can I help?" },
    { role: "user", text: "Where is my order?" },
  ],
  maxTokens: 100,
};
const judgement = {
  ...request,
  schemaName: "judgement",
  schema: z.object({ rule: z.string(), applies: z.boolean() }),
};
const long: Limits = { timeoutMs: 10_000, firstTokenTimeoutMs: 10_000 };

/** What every LanguageModel must do; `unknown` are failures that its provider has no word for. */
export function languageModelContract(
  open: OpenModel,
  unknown: readonly ModelFaultReason[] = [],
): void {
  let opened: AsyncDisposableStack;
  beforeEach(() => {
    opened = new AsyncDisposableStack();
  });
  afterEach(() => opened.disposeAsync());
  const model = (behaviours: readonly Behaviour[], limits = long) =>
    open(behaviours, limits, opened);
  const never = () => new AbortController().signal;

  it("has an id that names the provider and the model", async () => {
    expect((await model([])).id).toMatch(/^[a-z]+:\S+$/);
  });

  describe("generate", () => {
    it("gives the text, why it ends, what it used and how long it took", async () => {
      const answer = await (
        await model([{ says: "It is on its way." }])
      ).generate(request, never());
      expect(answer).toMatchObject({ text: "It is on its way.", stopReason: "end" });
      expect(answer.usage.inputTokens).toBeGreaterThan(0);
      expect(answer.usage.outputTokens).toBeGreaterThan(0);
      expect(answer.model).not.toBe("");
      expect(answer.firstTokenMs).toBeGreaterThan(0);
      expect(answer.latencyMs).toBeGreaterThanOrEqual(answer.firstTokenMs);
    });
    it("answers call after call", async () => {
      const desk = await model([{ says: "one" }, { says: "two" }]);
      expect((await desk.generate(request, never())).text).toBe("one");
      expect((await desk.generate(request, never())).text).toBe("two");
    });
    it("keeps all characters", async () => {
      const says = "Ёлка 🙂  two spaces,\nnew line – “quoted” 返品";
      expect((await (await model([{ says }])).generate(request, never())).text).toBe(says);
    });
    it("may have nothing to say", async () => {
      const answer = await (await model([{ says: "" }])).generate(request, never());
      expect(answer).toMatchObject({ text: "", stopReason: "end" });
      expect(answer.firstTokenMs).toBe(answer.latencyMs);
    });
  });

  describe("stream", () => {
    it("gives the words as they come, then one end with the whole", async () => {
      const chunks = await all((await model([{ says: "It is here." }])).stream(request, never()));
      expect(textsOf(chunks)).toEqual(["It", " is", " here."]);
      expect(chunks.slice(0, -1).every(({ kind }) => kind === "text")).toBe(true);
      expect(chunks.at(-1)).toMatchObject({ kind: "end", generation: { text: "It is here." } });
    });
    it("ends the call when the reader leaves", async () => {
      const desk = await model([{ says: "one two three" }, { says: "again" }]);
      for await (const chunk of desk.stream(request, never())) {
        expect(chunk).toEqual({ kind: "text", text: "one" });
        break;
      }
      expect((await desk.generate(request, never())).text).toBe("again");
    });
    it("gives what came before a failure, then fails", async () => {
      const desk = await model([{ fails: "MODEL_UNAVAILABLE", after: "It is" }]);
      const { texts, error } = await untilFailure(desk.stream(request, never()));
      expect(texts.join("")).toBe("It is");
      expect(error).toMatchObject({ kind: "unavailable", reason: "MODEL_UNAVAILABLE" });
    });
    it("can be read by many at the same time", async () => {
      const says = Array.from({ length: 16 }, (_, i) => `answer ${i}`);
      const desk = await model(says.map((text) => ({ says: text })));
      const answers = await Promise.all(says.map(() => desk.generate(request, never())));
      expect(answers.map(({ text }) => text).toSorted()).toEqual(says.toSorted());
    });
  });

  describe("structured", () => {
    const valid = { rule: "refunds", applies: true };
    it("gives a value that fits the schema", async () => {
      const desk = await model([{ says: JSON.stringify(valid) }]);
      const answer = await desk.structured(judgement, never());
      expect(answer).toMatchObject({ value: valid, attempts: 1 });
      expect(answer.usage.outputTokens).toBeGreaterThan(0);
    });
    it.each([
      ["a wrong type", JSON.stringify({ rule: "refunds", applies: "yes" })],
      ["a missing field", JSON.stringify({ rule: "refunds" })],
      ["no JSON", "The refund rule applies."],
      ["nothing at all", ""],
    ])("lets the model repair %s, and counts both answers", async (_, says) => {
      const alone = await (await model([{ says }])).generate(request, never());
      const desk = await model([{ says }, { says: JSON.stringify(valid) }]);
      const answer = await desk.structured(judgement, never());
      expect(answer).toMatchObject({ value: valid, attempts: 2 });
      expect(answer.usage.inputTokens).toBeGreaterThan(alone.usage.inputTokens);
      expect(answer.usage.outputTokens).toBeGreaterThan(alone.usage.outputTokens);
    });
    it("gives up after one repair", async () => {
      const desk = await model([{ says: "no" }, { says: "still no" }, { says: "unused" }]);
      expect(await failureOf(desk.structured(judgement, never()))).toMatchObject({
        kind: "internal",
        reason: "MODEL_BAD_OUTPUT",
      });
      expect((await desk.generate(request, never())).text).toBe("unused");
    });
    it("passes on a failure of the provider", async () => {
      const desk = await model([{ fails: "MODEL_OVERLOADED" }]);
      expect(await failureOf(desk.structured(judgement, never()))).toMatchObject({
        reason: "MODEL_OVERLOADED",
      });
    });
  });

  describe("a failure", () => {
    const kinds = [
      ["MODEL_OVERLOADED", "unavailable"],
      ["MODEL_RATE_LIMITED", "exhausted"],
      ["MODEL_REFUSED", "precondition"],
      ["MODEL_AUTH", "precondition"],
      ["MODEL_BAD_REQUEST", "precondition"],
      ["MODEL_UNAVAILABLE", "unavailable"],
    ] as const;
    it.each(kinds.filter(([reason]) => !unknown.includes(reason)))(
      "is a fault with the reason %s",
      async (reason, kind) => {
        const desk = await model([{ fails: reason }]);
        const error = await failureOf(desk.generate(request, never()));
        expect(error).toBeInstanceOf(Fault);
        expect(error).toMatchObject({ reason, kind });
      },
    );
    it("says when trying again may help", async () => {
      const desk = await model([{ fails: "MODEL_RATE_LIMITED", retryAfterMs: 3000 }]);
      expect(await failureOf(desk.generate(request, never()))).toMatchObject({
        retryAfterMs: 3000,
      });
    });
    it("is not tried again", async () => {
      const desk = await model([{ fails: "MODEL_OVERLOADED" }, { says: "later" }]);
      await failureOf(desk.generate(request, never()));
      expect((await desk.generate(request, never())).text).toBe("later");
    });
  });

  describe("a limit", () => {
    it("ends a call without a first word", async () => {
      const desk = await model([{ silentAfter: "" }], { ...long, firstTokenTimeoutMs: 40 });
      expect(await failureOf(desk.generate(request, never()))).toMatchObject({
        kind: "deadline",
        reason: "MODEL_TIMEOUT",
        message: expect.stringContaining("the model gave no first word in 40 ms"),
      });
    });
    it("ends a call that falls silent", async () => {
      const desk = await model([{ silentAfter: "It is" }], { ...long, timeoutMs: 200 });
      const { texts, error } = await untilFailure(desk.stream(request, never()));
      expect(texts.join("")).toBe("It is");
      expect(error).toMatchObject({
        reason: "MODEL_TIMEOUT",
        message: expect.stringContaining("the model gave no complete answer in 200 ms"),
      });
    });
  });

  describe("telling of its calls", () => {
    it("says what answered, what it used and how long it took", async () => {
      const desk = await model([{ says: "It is here." }, { says: "It is here." }]);
      const generated = await told((onCall) =>
        desk.generate({ ...request, onCall }, never()).then(({ usage }) => usage),
      );
      const streamed = await told(async (onCall) => {
        await all(desk.stream({ ...request, onCall }, never()));
      });
      for (const call of [generated, streamed]) {
        expect(call).toMatchObject({
          model: expect.stringMatching(/^[a-z]+:/),
          usage: generated.usage,
        });
        expect(call).not.toHaveProperty("failed");
        expect(call.firstTokenMs).toBeGreaterThan(0);
        expect(call.durationMs).toBeGreaterThanOrEqual(call.firstTokenMs ?? Infinity);
      }
      expect(generated.usage?.outputTokens).toBeGreaterThan(0);
    });
    it("counts a repair into its call", async () => {
      const desk = await model([{ says: "no" }, { says: '{"rule":"r","applies":true}' }]);
      let usage: unknown;
      const call = await told(async (onCall) => {
        ({ usage } = await desk.structured({ ...judgement, onCall }, never()));
      });
      expect(call.usage).toEqual(usage);
    });
    it("says why it failed", async () => {
      const desk = await model([{ fails: "MODEL_OVERLOADED" }]);
      const call = await told((onCall) =>
        failureOf(desk.generate({ ...request, onCall }, never())),
      );
      expect(call).toMatchObject({ failed: "MODEL_OVERLOADED" });
      expect(call).not.toHaveProperty("usage");
    });
    it("tells of a reader who left, without a failure", async () => {
      const desk = await model([{ silentAfter: "one" }]);
      const call = await told(async (onCall) => {
        for await (const _ of desk.stream({ ...request, onCall }, never())) break;
      });
      expect(call).not.toHaveProperty("failed");
      expect(call.firstTokenMs).toBeGreaterThan(0);
    });
  });

  describe("cancelling", () => {
    it("fails a call that has not begun, without asking the provider", async () => {
      const desk = await model([{ says: "still there" }]);
      expect(await failureOf(desk.generate(request, AbortSignal.abort()))).toMatchObject({
        kind: "cancelled",
      });
      expect((await desk.generate(request, never())).text).toBe("still there");
    });
    it("ends a stream at once", async () => {
      const desk = await model([{ silentAfter: "It is" }]);
      const leaving = new AbortController();
      const texts: string[] = [];
      const reading = (async () => {
        for await (const chunk of desk.stream(request, leaving.signal)) {
          if (chunk.kind === "text") texts.push(chunk.text);
          if (texts.join("") === "It is") leaving.abort();
        }
      })();
      expect(await failureOf(reading)).toMatchObject({ kind: "cancelled" });
      expect(texts.join("")).toBe("It is");
    });
    it("gives the signal's own fault when it has one", async () => {
      const desk = await model([{ silentAfter: "" }]);
      const deadline = new AbortController();
      const call = failureOf(desk.generate(request, deadline.signal));
      const fault = new Fault("deadline", "the turn's time is up", { reason: "TURN_DEADLINE" });
      deadline.abort(fault);
      expect(await call).toBe(fault);
    });
    it("takes a timer's signal for a deadline", async () => {
      const desk = await model([{ silentAfter: "" }]);
      expect(await failureOf(desk.generate(request, AbortSignal.timeout(30)))).toMatchObject({
        kind: "deadline",
      });
    });
  });
}

/** The last call that was told of: in a chain the one that was to answer. */
async function told(
  run: (onCall: (call: ModelCall) => void) => Promise<unknown>,
): Promise<ModelCall> {
  const calls: ModelCall[] = [];
  await run((call) => calls.push(call));
  const last = calls.at(-1);
  if (!last) throw new Error("no call was told of");
  return last;
}

async function all(stream: AsyncIterable<GenerationChunk>): Promise<GenerationChunk[]> {
  const chunks: GenerationChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

function textsOf(chunks: readonly GenerationChunk[]): string[] {
  return chunks.flatMap((chunk) => (chunk.kind === "text" ? [chunk.text] : []));
}

async function untilFailure(
  stream: AsyncIterable<GenerationChunk>,
): Promise<{ texts: string[]; error: unknown }> {
  const chunks: GenerationChunk[] = [];
  const error = await failureOf(
    (async () => {
      for await (const chunk of stream) chunks.push(chunk);
    })(),
  );
  return { texts: textsOf(chunks), error };
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => expect.fail(`expected a failure, got ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
}
