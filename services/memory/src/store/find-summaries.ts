import { tenantSql } from "@soldier/storage/tenant";
import type { Sql } from "postgres";
import type { Summary } from "../domain/summary.ts";
import type { FactsPoint } from "./find-facts.ts";
import { inputsColumn, summaryOf, type SummaryRow } from "./summary-rows.ts";
import { vectorOf } from "./vector-bytes.ts";

export interface FoundSummary {
  readonly summary: Summary;
  /** Undefined when it has none of the model. */
  readonly vector: Float32Array | undefined;
}

export interface SummariesPoint extends Omit<FactsPoint, "validAt"> {
  /** Undefined is any time. */
  readonly validAt: Date | undefined;
}

/**
 * The latest summaries of groups, with their vectors of one model: of what had happened and was stored by
 * the point.
 */
export type SummaryFinds = (
  tenantId: string,
  point: SummariesPoint,
  model: string,
  limit: number,
) => Promise<readonly FoundSummary[]>;

export function postgresSummaryFinds(pool: Sql): SummaryFinds {
  return async (tenantId, { groupIds, validAt, recordedAt }, model, limit) => {
    const sql = tenantSql(pool, tenantId);
    const rows = await sql<(SummaryRow & { vector: Buffer | null })[]>`
      select s.*, ${inputsColumn(sql)}, x.vector
      from summaries s
      left join summary_embeddings x
        on x.tenant_id = ${tenantId} and x.summary_id = s.id and x.model = ${model}
      where s.tenant_id = ${tenantId} and s.group_id = any(${[...groupIds]})
        ${validAt ? sql`and s.covers_to <= ${validAt}` : sql``}
        ${recordedAt ? sql`and s.recorded_at <= ${recordedAt}` : sql``}
      order by s.covers_to desc, s.id
      limit ${limit}`;
    return rows.map((row) => ({
      summary: summaryOf(row),
      vector: row.vector ? vectorOf(row.vector) : undefined,
    }));
  };
}
