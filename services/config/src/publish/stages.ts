import { create } from "@bufbuild/protobuf";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import {
  type PublishStage,
  PublishStageSchema,
  StageStatus,
} from "@soldier/proto/config/v1/bundle";

export type StageName = "validate" | "compile" | "write" | "swap" | "invalidate";

/** The stages of one publish, each timed. */
export interface Stages {
  /** A Fault in a stage goes on to the caller, with the stage's name in its metadata. */
  run<T>(name: StageName, work: () => T | Promise<T>): Promise<T>;
  readonly done: PublishStage[];
}

export function stages(clock: Clock): Stages {
  const done: PublishStage[] = [];
  return {
    done,
    async run(name, work) {
      const startedMs = clock.monotonicMs();
      try {
        const result = await work();
        const durationMs = clock.monotonicMs() - startedMs;
        done.push(create(PublishStageSchema, { name, status: StageStatus.DONE, durationMs }));
        return result;
      } catch (error) {
        throw error instanceof Fault ? failedAt(name, error) : error;
      }
    },
  };
}

function failedAt(stage: StageName, error: Fault): Fault {
  const { kind, reason, fields, retryAfterMs, metadata } = error;
  return new Fault(kind, `not published, it failed to ${stage}: ${error.message}`, {
    cause: error,
    reason,
    fields,
    metadata: { ...metadata, stage },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}
