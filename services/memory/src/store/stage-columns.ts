import type { ISql } from "postgres";
import type { Stage, StageName } from "../domain/episode.ts";

/** How an episode stands: what of its ingestion is not done, and the tries of what is. */
export interface StageRow {
  /** Attempts, failure, whether it is parked and whether it is not due, by the stages that are not done. */
  readonly backlog: Readonly<Record<string, readonly [number, string, boolean, boolean]>> | null;
  readonly embedded_attempts: number | null;
  readonly extracted_attempts: number | null;
  readonly resolved_attempts: number | null;
  readonly summarised_attempts: number | null;
}

/** Columns of episodes e. */
export function stageColumns(sql: ISql) {
  return sql`
    (select jsonb_object_agg(b.stage, jsonb_build_array(b.attempts, b.failed, b.parked, b.due_at > now()))
      from backlog b where b.tenant_id = e.tenant_id and b.episode_id = e.id) as backlog,
    (select max(attempts) from embeddings
      where tenant_id = e.tenant_id and episode_id = e.id) as embedded_attempts,
    (select attempts from extractions
      where tenant_id = e.tenant_id and episode_id = e.id) as extracted_attempts,
    (select resolved_attempts from extractions
      where tenant_id = e.tenant_id and episode_id = e.id) as resolved_attempts,
    (select 1 from summary_inputs
      where tenant_id = e.tenant_id and episode_id = e.id) as summarised_attempts`;
}

/** In their order; without those that the episode was never entered for. */
export function stagesOf(row: StageRow): readonly Stage[] {
  const extracting = row.backlog?.["extracted"] !== undefined;
  return [
    { name: "stored", status: "done", attempts: 1, failed: "" },
    ...stage(row, "embedded", row.embedded_attempts),
    // Told only while it waits: nothing depends on it until it is the model in force.
    ...stage(row, "embedded_next", null),
    ...stage(row, "extracted", row.extracted_attempts),
    // What has been extracted is entered for it then; until then it waits.
    ...(extracting
      ? [{ name: "resolved", status: "pending", attempts: 0, failed: "" } as const]
      : stage(row, "resolved", row.resolved_attempts)),
    ...stage(row, "summarised", row.summarised_attempts),
  ];
}

function stage(row: StageRow, name: StageName, doneAttempts: number | null): readonly Stage[] {
  const waiting = row.backlog?.[name];
  if (waiting) {
    const [attempts, failed, parked, isLater] = waiting;
    if (parked) return [{ name, status: "parked", attempts, failed }];
    if (failed) return [{ name, status: "failed", attempts, failed }];
    // Any other stage is put off only by whoever works on it.
    const status = name === "summarised" && isLater ? "waiting" : "pending";
    return [{ name, status, attempts, failed }];
  }
  return doneAttempts === null
    ? []
    : [{ name, status: "done", attempts: doneAttempts, failed: "" }];
}
