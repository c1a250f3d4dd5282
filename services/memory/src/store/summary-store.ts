import type { BroughtSummary, NewSummary, Summary, SummaryInput } from "../domain/summary.ts";
import type { NotBrought } from "./bring-summary.ts";

export interface SummaryVector {
  readonly model: string;
  readonly vector: Float32Array;
}

export interface GroupOfTenant {
  readonly tenantId: string;
  readonly groupId: string;
}

/** Summaries of every tenant. A tenant never sees another's. */
export interface SummaryStore {
  /** Those of these groups, of any tenants, of which a summary is due; nearly always none. One statement. */
  due(groups: readonly GroupOfTenant[]): Promise<readonly GroupOfTenant[]>;
  /**
   * Episodes of a group that a summary is due of, in the order in which they were said: what is left of
   * a summary that was withdrawn, else the oldest turns when there are enough; undefined for none.
   */
  window(tenantId: string, groupId: string): Promise<readonly SummaryInput[] | undefined>;
  /** Summaries of episodes that a summary is due of, the oldest. */
  summariesDue(tenantId: string, groupId: string): Promise<readonly SummaryInput[] | undefined>;
  /**
   * Keeps a summary with its inputs, which have passed their stage then. False, and nothing is kept,
   * when one of them is not there any more or something stands for it already.
   */
  keep(summary: NewSummary, vector: SummaryVector): Promise<boolean>;
  /**
   * Keeps a summary that was made elsewhere. The same text of the same inputs is there once. Answers with
   * the inputs that keep it from being kept: those that are not there, and those of another summary.
   */
  bring(
    tenantId: string,
    summary: BroughtSummary,
    vector: SummaryVector,
  ): Promise<Summary | NotBrought>;
  /** The latest made first. */
  list(
    tenantId: string,
    groupId: string,
    limit: number,
    before: string | undefined,
  ): Promise<{ readonly items: readonly Summary[]; readonly next: string | undefined }>;
}
