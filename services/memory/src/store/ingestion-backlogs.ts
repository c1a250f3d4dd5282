import type { Sql } from "postgres";
import type { ClosingLimits } from "../domain/closings.ts";
import { keepExtractions } from "./keep-extractions.ts";
import { keepResolutions } from "./keep-resolutions.ts";
import { keepVectors } from "./keep-vectors.ts";
import { postgresStage } from "./postgres-stages.ts";
import { postgresSummaryBacklog } from "./postgres-summaries.ts";

export type IngestionBacklogs = ReturnType<typeof ingestionBacklogs>;

export interface BacklogOptions {
  /** Of vectors. */
  readonly model: string;
  /** The same, of the model that is to follow; undefined for none. */
  readonly nextModel?: string | undefined;
  /** What decides what is parked. */
  readonly limits: ClosingLimits;
}

/** What waits for each stage. */
export function ingestionBacklogs(pool: Sql, { model, nextModel, limits }: BacklogOptions) {
  return {
    embedded: postgresStage(pool, "embedded", keepVectors(model)),
    embeddedNext:
      nextModel === undefined
        ? undefined
        : postgresStage(pool, "embedded_next", keepVectors(nextModel, "embedded_next")),
    extracted: postgresStage(pool, "extracted", keepExtractions),
    resolved: postgresStage(pool, "resolved", keepResolutions(limits)),
    summarised: postgresSummaryBacklog(pool),
  };
}
