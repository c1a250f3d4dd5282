import { trace } from "@opentelemetry/api";
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { register } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { modelFault } from "./language-model.ts";
import { scriptedModel } from "./scripted.ts";

const exporter = new InMemorySpanExporter();
beforeEach(() => {
  register.resetMetrics();
  trace.setGlobalTracerProvider(
    new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
  );
});
afterEach(() => {
  trace.disable();
  exporter.reset();
});

const secret = {
  system: [{ text: "secret words" }],
  messages: [{ role: "user", text: "secret words" }],
  maxTokens: 50,
} as const;
const signal = new AbortController().signal;
const id = "scripted:observed";

describe("a call to a model", () => {
  it("leaves a span and metrics, without what was said", async () => {
    await scriptedModel(["secret words"], { id }).generate(secret, signal);
    const [span, ...others] = exporter.getFinishedSpans();
    expect(others).toEqual([]);
    expect(span?.name).toBe("chat observed");
    expect(span?.attributes).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "scripted",
      "gen_ai.request.model": "observed",
      "gen_ai.response.model": id,
      "gen_ai.usage.input_tokens": 4,
      "gen_ai.usage.output_tokens": 2,
      "gen_ai.response.finish_reasons": ["end"],
    });
    expect(JSON.stringify([span?.attributes, span?.events])).not.toContain("secret");
    expect(await values("soldier_model_calls_total")).toEqual([
      { value: 1, labels: { model: id, operation: "generate" } },
    ]);
    expect(await values("soldier_model_tokens_total")).toContainEqual({
      value: 4,
      labels: { model: id, kind: "input" },
    });
    expect(await register.metrics()).not.toContain("secret");
  });
  it("counts a repair as a call of its own", async () => {
    const model = scriptedModel(["no", { json: { rule: "r" } }], { id });
    const schema = z.object({ rule: z.string() });
    await model.structured({ ...secret, schema, schemaName: "judgement" }, signal);
    expect(await values("soldier_model_calls_total")).toEqual([
      { value: 2, labels: { model: id, operation: "structured" } },
    ]);
    expect(exporter.getFinishedSpans().map((span) => span.attributes["soldier.schema"])).toEqual([
      "judgement",
      "judgement",
    ]);
  });
  it("says why it failed", async () => {
    const overloaded = modelFault("MODEL_OVERLOADED", "overloaded");
    await expect(scriptedModel([overloaded], { id }).generate(secret, signal)).rejects.toThrow(
      overloaded,
    );
    expect(await values("soldier_model_errors_total")).toEqual([
      { value: 1, labels: { model: id, reason: "MODEL_OVERLOADED" } },
    ]);
    expect(exporter.getFinishedSpans()[0]?.attributes["error.type"]).toBe("MODEL_OVERLOADED");
  });
  it("ends its span when the reader leaves", async () => {
    for await (const _ of scriptedModel(["one two"], { id }).stream(secret, signal)) break;
    expect(exporter.getFinishedSpans()[0]?.attributes["error.type"]).toBe("ABANDONED");
  });
});

async function values(name: string): Promise<unknown> {
  const metric = await register.getSingleMetric(name)?.get();
  return metric?.values.map(({ value, labels }) => ({ value, labels }));
}
