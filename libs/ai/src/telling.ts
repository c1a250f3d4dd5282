import { systemClock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import {
  addUsage,
  type GenerationChunk,
  type ModelRequest,
  noUsage,
  type Usage,
} from "./language-model.ts";
import { costMicros, type Prices } from "./prices.ts";

/** What runs within one call: each exchange with the provider goes through it. */
export type Measure = (
  chunks: AsyncIterable<GenerationChunk>,
) => AsyncGenerator<GenerationChunk, void, undefined>;

/** Measures one call of the model, and tells `onCall` of it when it ends, however it does. */
export function telling(id: string, prices: Prices | undefined, { onCall }: ModelRequest) {
  const startedMs = systemClock.monotonicMs();
  const elapsedMs = () => systemClock.monotonicMs() - startedMs;
  let firstTokenMs: number | undefined;
  let usage: Usage | undefined;
  let failed: string | undefined;

  const measure: Measure = async function* (chunks) {
    try {
      for await (const chunk of chunks) {
        if (chunk.kind === "text") firstTokenMs ??= elapsedMs();
        else if (isCounted(chunk.generation.usage))
          usage = addUsage(usage ?? noUsage, chunk.generation.usage);
        yield chunk;
      }
    } catch (error) {
      failed = reasonOf(error);
      throw error;
    }
  };
  const tell = () =>
    onCall?.({
      model: id,
      durationMs: elapsedMs(),
      ...(failed === undefined ? {} : { failed }),
      ...(firstTokenMs === undefined ? {} : { firstTokenMs }),
      ...(usage && { usage, ...(prices && { costMicros: costMicros(prices, usage) }) }),
    });

  return {
    async whole<T>(run: (measure: Measure) => Promise<T>): Promise<T> {
      try {
        return await run(measure);
      } catch (error) {
        failed = reasonOf(error);
        throw error;
      } finally {
        tell();
      }
    },
    async *pieces(chunks: AsyncIterable<GenerationChunk>): ReturnType<Measure> {
      try {
        yield* measure(chunks);
      } finally {
        tell();
      }
    },
  };
}

/** A provider that counts nothing has not answered for nothing. */
function isCounted(usage: Usage): boolean {
  return Object.values(usage).some((count) => count > 0);
}

function reasonOf(error: unknown): string {
  return error instanceof Fault ? error.reason : "INTERNAL";
}
