import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type {
  Generation,
  LanguageModel,
  ModelRequest,
  Structured,
  StructuredRequest,
} from "@soldier/ai/language-model";
import { Fault } from "@soldier/kernel/fault";
import { type ModelCallRecord, ModelCallRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import type { RecordPart } from "./turn-recorder.ts";

/** A step's calls of the model, each noted for the turn record, whether it answers or fails. */
export class ModelCalls {
  private readonly model: LanguageModel;
  private readonly records: ModelCallRecord[] = [];
  private outsideMs = 0;

  constructor(model: LanguageModel) {
    this.model = model;
  }

  get id(): string {
    return this.model.id;
  }

  async structured<T>(
    purpose: string,
    req: StructuredRequest<T>,
    signal: AbortSignal,
  ): Promise<Structured<T>> {
    return this.noted(purpose, req, () => this.model.structured(req, signal));
  }

  /** Writes by pieces; `take` says whether to go on. Resolves with what was written, if it ended. */
  async write(
    purpose: string,
    req: ModelRequest,
    signal: AbortSignal,
    take: (piece: string) => boolean,
  ): Promise<Generation | undefined> {
    return this.noted(purpose, req, async () => {
      for await (const chunk of this.model.stream(req, signal)) {
        if (chunk.kind === "end") return chunk.generation;
        if (!take(chunk.text)) return undefined;
      }
      return undefined;
    });
  }

  /** What the step has to tell of them. */
  get record(): Pick<RecordPart, "modelCalls" | "outsideMs"> {
    return { modelCalls: this.records, outsideMs: this.outsideMs };
  }

  private async noted<T extends Generation | Structured<unknown> | undefined>(
    purpose: string,
    req: ModelRequest,
    run: () => Promise<T>,
  ): Promise<T> {
    const startedMs = performance.now();
    const noted = { purpose, model: this.model.id, promptHash: hashOf(req) };
    const elapsed = () => performance.now() - startedMs;
    try {
      const done = await run();
      this.records.push(
        create(ModelCallRecordSchema, {
          ...noted,
          ...(done && {
            model: this.model.id,
            inputTokens: BigInt(done.usage.inputTokens + done.usage.cacheWriteTokens),
            outputTokens: BigInt(done.usage.outputTokens),
            cachedTokens: BigInt(done.usage.cacheReadTokens),
            firstTokenMs: done.firstTokenMs,
          }),
          durationMs: elapsed(),
        }),
      );
      return done;
    } catch (error) {
      const failed = error instanceof Fault ? error.reason : "INTERNAL";
      this.records.push(create(ModelCallRecordSchema, { ...noted, failed, durationMs: elapsed() }));
      throw error;
    } finally {
      this.outsideMs += elapsed();
    }
  }
}

/** Of the part of the prompt that is the same in many calls. */
function hashOf({ system }: ModelRequest): string {
  const hash = createHash("sha256");
  for (const { text, cacheable } of system) if (cacheable) hash.update(text);
  return hash.digest("hex");
}
