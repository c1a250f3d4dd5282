import { manualClock } from "@soldier/kernel/clock";
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { chainedModel, type Link } from "./chained.ts";
import { health } from "./health.ts";
import {
  type LanguageModel,
  type ModelCall,
  modelFault,
  type ModelFaultReason,
  type ModelRequest,
} from "./language-model.ts";
import { type Script, type ScriptedModel, scriptedModel } from "./scripted.ts";

const signal = new AbortController().signal;
const fault = (reason: ModelFaultReason, retryAfterMs?: number) =>
  modelFault(reason, `it is ${reason}`, retryAfterMs === undefined ? {} : { retryAfterMs });

let clock: ReturnType<typeof manualClock>;
let calls: ModelCall[];
let hello: ModelRequest;
beforeEach(() => {
  clock = manualClock(new Date(0));
  calls = [];
  hello = {
    system: [],
    messages: [{ role: "user", text: "Hello" }],
    maxTokens: 50,
    onCall: (call) => calls.push(call),
  };
});

/** A chain of models "scripted:a", "scripted:b" …, each with its script. */
function chain(...scripts: readonly [Script, ...Script[]]) {
  const models = scripts.map((script, i) =>
    scriptedModel(script, { id: `scripted:${"abc"[i]}`, limits }),
  );
  const links = models.map((model): Link => ({ model, health: health(clock) }));
  const [first, ...rest] = links as [Link, ...Link[]]; // there are as many as scripts
  return { model: chainedModel([first, ...rest]), models };
}
const limits = { timeoutMs: 5000, firstTokenTimeoutMs: 30 };
const says =
  (text: string): Script =>
  () =>
    text;
const fails =
  (reason: ModelFaultReason, retryAfterMs?: number): Script =>
  () =>
    fault(reason, retryAfterMs);
const text = async (model: LanguageModel) => (await model.generate(hello, signal)).text;
const counts = (models: readonly ScriptedModel[]) => models.map((model) => model.calls);

describe("a chain of models", () => {
  it("is the first one while that answers", async () => {
    const { model, models } = chain(says("from a"), says("from b"));
    expect(model.id).toBe("scripted:a");
    expect(await text(model)).toBe("from a");
    expect(counts(models)).toEqual([1, 0]);
  });
  it.each([
    "MODEL_OVERLOADED",
    "MODEL_RATE_LIMITED",
    "MODEL_TIMEOUT",
    "MODEL_REFUSED",
    "MODEL_AUTH",
    "MODEL_BAD_REQUEST",
    "MODEL_BAD_OUTPUT",
    "MODEL_UNAVAILABLE",
  ] as const)("moves on after %s, and tells of it", async (reason) => {
    const { model } = chain(fails(reason), says("from b"));
    expect(await text(model)).toBe("from b");
    expect(calls).toMatchObject([
      { model: "scripted:a", failed: reason },
      { model: "scripted:b", usage: { outputTokens: 2 } },
    ]);
    expect(calls[1]).not.toHaveProperty("failed");
  });
  it("moves on from an answer that fits no shape", async () => {
    const { model, models } = chain(says("no JSON"), says('{"ok":true}'));
    const schema = z.object({ ok: z.boolean() });
    const answer = await model.structured({ ...hello, schema, schemaName: "judgement" }, signal);
    expect(answer).toMatchObject({ value: { ok: true }, attempts: 1 });
    expect(counts(models)).toEqual([2, 1]);
    expect(calls).toMatchObject([{ failed: "MODEL_BAD_OUTPUT", usage: { outputTokens: 4 } }, {}]);
  });
  it("moves on from a model that gives no first word in time", async () => {
    const { model } = chain([{ text: "", ending: "silence" }], says("from b"));
    expect(await text(model)).toBe("from b");
    expect(calls[0]).toMatchObject({ failed: "MODEL_TIMEOUT" });
    expect(calls[0]?.durationMs).toBeGreaterThan(25);
  });
  it("ends at once when it is cancelled", async () => {
    const { model, models } = chain([{ text: "one", ending: "silence" }], says("from b"));
    const leaving = new AbortController();
    const call = model.generate({ ...hello }, leaving.signal);
    leaving.abort();
    await expect(call).rejects.toMatchObject({ kind: "cancelled" });
    expect(counts(models)).toEqual([1, 0]);
  });
  it("asks none when it has been cancelled before", async () => {
    const { model, models } = chain(says("from a"));
    await expect(model.generate(hello, AbortSignal.abort())).rejects.toMatchObject({
      kind: "cancelled",
    });
    expect(counts(models)).toEqual([0]);
  });
  it("lets a bug fly", async () => {
    const bug = () => {
      throw new TypeError("a bug");
    };
    await expect(text(chain(bug, says("from b")).model)).rejects.toThrow("a bug");
  });
  it("says what it tried when all have failed, with the last one's reason", async () => {
    const { model } = chain(fails("MODEL_RATE_LIMITED", 9000), fails("MODEL_OVERLOADED", 4000));
    await expect(model.generate(hello, signal)).rejects.toMatchObject({
      kind: "unavailable",
      reason: "MODEL_OVERLOADED",
      retryAfterMs: 4000,
      message:
        "none of the models has answered: scripted:a (MODEL_RATE_LIMITED), " +
        "scripted:b (MODEL_OVERLOADED); it is MODEL_OVERLOADED",
    });
  });
});

describe("any chain", () => {
  const reasons = ["MODEL_TIMEOUT", "MODEL_REFUSED", "MODEL_RATE_LIMITED", "MODEL_AUTH"] as const;
  const outcome = fc.constantFrom<(typeof reasons)[number] | "answers">(...reasons, "answers");
  const requests = fc.array(fc.tuple(outcome, outcome, outcome, fc.nat({ max: 90_000 })), {
    minLength: 1,
    maxLength: 30,
  });
  it("asks each model at most once for a request, ends with the first answer, and tells of it all", async () => {
    await fc.assert(
      fc.asyncProperty(requests, async (given) => {
        let now: readonly string[] = [];
        const { model, models } = chain(...threeScripts((i) => now[i] ?? ""));
        for (const [a, b, c, pauseMs] of given) {
          now = [a, b, c];
          calls = [];
          const before = counts(models);
          const answer = await text(model).catch((error: unknown) => error);
          const asked = counts(models).map((count, i) => count - (before[i] ?? 0));
          expect(Math.max(...asked)).toBeLessThanOrEqual(1);
          expect(calls).toHaveLength(new Set(calls.map((call) => call.model)).size);
          const answered = calls.filter(({ failed }) => failed === undefined);
          const expected = typeof answer === "string" ? [`scripted:${answer}`] : [];
          expect(answered.map((call) => call.model)).toEqual(expected);
          // It ends with the answer, or each was asked or is left alone.
          expect(calls.at(-1)?.failed === undefined || calls.length === 3).toBe(true);
          clock.advance(pauseMs);
        }
      }),
      { numRuns: 60 },
    );
  });

  /** Each does what it is told to at the time, and answers with its name. */
  function threeScripts(told: (model: number) => string): [Script, Script, Script] {
    const script =
      (i: number): Script =>
      () => {
        const reason = reasons.find((known) => known === told(i));
        return reason ? fault(reason) : ("abc"[i] ?? "");
      };
    return [script(0), script(1), script(2)];
  }
});

describe("a stream of a chain", () => {
  const read = async (model: LanguageModel) => {
    const pieces: string[] = [];
    try {
      for await (const chunk of model.stream(hello, signal))
        if (chunk.kind === "text") pieces.push(chunk.text);
    } catch (error) {
      return { pieces, error };
    }
    return { pieces };
  };
  it("moves on before the first text", async () => {
    const { model } = chain([{ text: "", ending: fault("MODEL_UNAVAILABLE") }], says("from b"));
    expect(await read(model)).toEqual({ pieces: ["from", " b"] });
    expect(calls).toMatchObject([{ failed: "MODEL_UNAVAILABLE" }, { model: "scripted:b" }]);
  });
  it("fails after it: what was shown is never taken back", async () => {
    const broken = fault("MODEL_UNAVAILABLE");
    const { model, models } = chain([{ text: "It is", ending: broken }], says("from b"));
    expect(await read(model)).toEqual({ pieces: ["It", " is"], error: broken });
    expect(counts(models)).toEqual([1, 0]);
    expect(calls).toMatchObject([{ model: "scripted:a", failed: "MODEL_UNAVAILABLE" }]);
  });
  it("is over when its reader leaves", async () => {
    const { model, models } = chain([{ text: "one", ending: "silence" }], says("from b"));
    for await (const _ of model.stream(hello, signal)) break;
    expect(counts(models)).toEqual([1, 0]);
    expect(calls).toHaveLength(1);
  });
});

describe("a model at its limits", () => {
  it.each(["MODEL_RATE_LIMITED", "MODEL_OVERLOADED"] as const)(
    "is left alone after %s for as long as it says",
    async (reason) => {
      const { model, models } = chain(fails(reason, 3000), says("from b"));
      await text(model);
      clock.advance(2999);
      expect(await text(model)).toBe("from b");
      expect(counts(models)).toEqual([1, 2]);
      expect(calls.at(-2)).toEqual({ model: "scripted:a", failed: reason, durationMs: 0 });
      clock.advance(1);
      await text(model);
      expect(counts(models)).toEqual([2, 3]);
    },
  );
  it("is left alone for a second when it does not say", async () => {
    const { model, models } = chain(fails("MODEL_OVERLOADED"), says("from b"));
    await text(model);
    clock.advance(999);
    await text(model);
    expect(counts(models)).toEqual([1, 2]);
    clock.advance(1);
    await text(model);
    expect(counts(models)).toEqual([2, 3]);
  });
  it("is not believed for more than five minutes", async () => {
    const { model, models } = chain(fails("MODEL_RATE_LIMITED", 86_400_000), says("from b"));
    await text(model);
    clock.advance(300_000);
    await text(model);
    expect(counts(models)).toEqual([2, 2]);
  });
  it("is not asked even when there is no other, and the fault says for how long", async () => {
    const { model, models } = chain(fails("MODEL_RATE_LIMITED", 3000));
    await model.generate(hello, signal).catch(() => undefined);
    clock.advance(1000);
    await expect(model.generate(hello, signal)).rejects.toMatchObject({
      kind: "exhausted",
      reason: "MODEL_RATE_LIMITED",
      retryAfterMs: 2000,
    });
    expect(counts(models)).toEqual([1]);
  });
});

describe("a model that keeps failing", () => {
  it.each(["MODEL_UNAVAILABLE", "MODEL_TIMEOUT", "MODEL_AUTH", "MODEL_BAD_OUTPUT"] as const)(
    "by %s comes last for a while, and is asked when the others fail",
    async (reason) => {
      let bDown = false;
      const { model, models } = chain(fails(reason), () =>
        bDown ? fault("MODEL_UNAVAILABLE") : "from b",
      );
      for (let i = 0; i < 5; i++) await text(model);
      expect(counts(models)).toEqual([3, 5]);
      bDown = true;
      await expect(text(model)).rejects.toMatchObject({ reason });
      expect(counts(models)).toEqual([4, 6]);
      bDown = false;
      clock.advance(30_000);
      await text(model);
      expect(counts(models)).toEqual([5, 7]);
    },
  );
  it("comes first again once it has answered", async () => {
    let down = true;
    const { model, models } = chain(
      () => (down ? fault("MODEL_UNAVAILABLE") : "from a"),
      says("from b"),
    );
    for (let i = 0; i < 3; i++) await text(model);
    down = false;
    clock.advance(30_000);
    expect(await text(model)).toBe("from a");
    down = true;
    await text(model);
    await text(model);
    expect(counts(models)).toEqual([6, 5]);
  });
  it.each(["MODEL_REFUSED", "MODEL_BAD_REQUEST"] as const)(
    "by %s stays first: it is about what it was asked",
    async (reason) => {
      const { model, models } = chain(fails(reason), says("from b"));
      for (let i = 0; i < 6; i++) await text(model);
      expect(counts(models)).toEqual([6, 6]);
    },
  );
});
