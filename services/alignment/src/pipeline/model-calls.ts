import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type {
  Generation,
  LanguageModel,
  ModelCall,
  ModelRequest,
  Structured,
  StructuredRequest,
} from "@soldier/ai/language-model";
import type { ModelStep } from "@soldier/ai/model-settings";
import { type ModelCallRecord, ModelCallRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { affords } from "../domain/budget.ts";
import type { Means } from "./means.ts";
import type { RecordPart } from "./turn-recorder.ts";
import type { Turn } from "./turn.ts";

/** The model for a step of this turn; undefined when there is none, or when it can't be afforded. */
export function modelFor(
  { models }: Pick<Means, "models">,
  { bundle, rung }: Pick<Turn, "bundle" | "rung">,
  step: ModelStep,
): LanguageModel | undefined {
  if (!affords(rung, step === "generate" || step === "check" ? "writing" : "judgement"))
    return undefined;
  const own = step === "generate" ? bundle.settings.generation.model : "";
  return (own === "" ? undefined : models.named(own)) ?? models.for(step);
}

/** Whether there is the model that the agent asks for by its settings, if it asks for one. */
export function knowsOwnModel(
  { models }: Pick<Means, "models">,
  { bundle }: Pick<Turn, "bundle">,
): boolean {
  const own = bundle.settings.generation.model;
  return own === "" || models.named(own) !== undefined;
}

/** The calls of a step that has a model. */
export function modelCalls(
  means: Pick<Means, "models">,
  turn: Pick<Turn, "bundle" | "rung" | "recorder">,
  step: ModelStep,
): ModelCalls | undefined {
  const model = modelFor(means, turn, step);
  const { temperature } = turn.bundle.settings.generation;
  const warmth = temperature === "default" ? undefined : temperature;
  return model && new ModelCalls(model, (call) => turn.recorder.used(call), warmth);
}

/**
 * A step's calls of its models, each noted for the turn record: those that answered, those of a chain
 * that failed before them, and those that were passed over.
 */
export class ModelCalls {
  private readonly model: LanguageModel;
  private readonly made: (call: ModelCallRecord) => void;
  private readonly temperature: number | undefined;
  private readonly records: ModelCallRecord[] = [];
  private outsideMs = 0;
  private asked = 0;

  /** `made`: told of each call as it ends; `temperature`: of what is written, judging takes none. */
  constructor(
    model: LanguageModel,
    made: (call: ModelCallRecord) => void,
    temperature: number | undefined,
  ) {
    this.model = model;
    this.made = made;
    this.temperature = temperature;
  }

  get id(): string {
    return this.model.id;
  }

  async structured<T>(
    purpose: string,
    req: StructuredRequest<T>,
    signal: AbortSignal,
  ): Promise<Structured<T>> {
    return this.noted(purpose, req, (onCall) => this.model.structured({ ...req, onCall }, signal));
  }

  /** Writes by pieces; `take` says whether to go on. Resolves with what was written, if it ended. */
  async write(
    purpose: string,
    req: ModelRequest,
    signal: AbortSignal,
    take: (piece: string) => boolean,
  ): Promise<Generation | undefined> {
    const { temperature } = this;
    const warm = { ...req, ...(temperature !== undefined && { temperature }) };
    return this.noted(purpose, req, async (onCall) => {
      for await (const chunk of this.model.stream({ ...warm, onCall }, signal)) {
        if (chunk.kind === "end") return chunk.generation;
        if (!take(chunk.text)) return undefined;
      }
      return undefined;
    });
  }

  /** What the step has to tell of them. */
  get record(): Pick<RecordPart, "modelCalls" | "modelCallDepth" | "outsideMs"> {
    return { modelCalls: this.records, modelCallDepth: this.asked, outsideMs: this.outsideMs };
  }

  private async noted<T>(
    purpose: string,
    req: ModelRequest,
    run: (onCall: (call: ModelCall) => void) => Promise<T>,
  ): Promise<T> {
    const startedMs = performance.now();
    const promptHash = hashOf(req);
    this.asked++;
    try {
      return await run((call) => {
        const record = recordOf(purpose, promptHash, call);
        this.records.push(record);
        this.made(record);
      });
    } finally {
      this.outsideMs += performance.now() - startedMs;
    }
  }
}

/** What a step has to tell that asks several models. */
export function together(
  ...all: readonly (Pick<ModelCalls, "record"> | undefined)[]
): ModelCalls["record"] {
  const records = all.flatMap((calls) => calls?.record ?? []);
  return {
    modelCalls: records.flatMap(({ modelCalls: made = [] }) => made),
    modelCallDepth: records.reduce((sum, { modelCallDepth = 0 }) => sum + modelCallDepth, 0),
    outsideMs: records.reduce((sum, { outsideMs = 0 }) => sum + outsideMs, 0),
  };
}

function recordOf(purpose: string, promptHash: string, call: ModelCall): ModelCallRecord {
  const { model, failed = "", durationMs, firstTokenMs = 0, usage, costMicros = 0 } = call;
  return create(ModelCallRecordSchema, {
    purpose,
    model,
    promptHash,
    ...(usage && {
      inputTokens: BigInt(usage.inputTokens + usage.cacheWriteTokens),
      outputTokens: BigInt(usage.outputTokens),
      cachedTokens: BigInt(usage.cacheReadTokens),
    }),
    costMicros: BigInt(costMicros),
    firstTokenMs,
    durationMs,
    failed,
  });
}

/** Of the part of the prompt that is the same in many calls. */
function hashOf({ system }: ModelRequest): string {
  const hash = createHash("sha256");
  for (const { text, cacheable } of system) if (cacheable) hash.update(text);
  return hash.digest("hex");
}
