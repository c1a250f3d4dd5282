import { z } from "zod";

const allowance = {
  /** Tokens read and written; 0 is unlimited. */
  tokens: z.int().min(0).max(1e15).default(0),
  /** US dollars; 0 is unlimited. */
  usd: z.number().min(0).max(1e9).default(0),
};
const share = z.number().min(0).max(1);

/** The `[alignment.budgets]` table: what a tenant may use of models in a day. */
export const budgetSettings = z
  .strictObject({
    ...allowance,
    tenants: z.record(z.string(), z.strictObject(allowance)).default({}),
    no_rerank_from: share.default(0.7),
    no_judgement_from: share.default(0.85),
    templates_only_from: share.default(1),
  })
  .refine(
    (set) =>
      set.no_rerank_from <= set.no_judgement_from &&
      set.no_judgement_from <= set.templates_only_from,
    "the shares must rise: no_rerank_from, no_judgement_from, templates_only_from",
  )
  .prefault({});

export type BudgetSettings = z.output<typeof budgetSettings>;

/** What may be used in a day; 0 is unlimited, and not both are. */
export interface Budget {
  readonly tokensMax: number;
  /** Millionths of a US dollar. */
  readonly costMicrosMax: number;
}

export interface Used {
  readonly tokens: number;
  readonly costMicros: number;
}

/** The tenant's own budget, else everybody's; undefined when it may use what it likes. */
export function budgetOf(settings: BudgetSettings, tenantId: string): Budget | undefined {
  const own = Object.hasOwn(settings.tenants, tenantId) ? settings.tenants[tenantId] : undefined;
  const { tokens, usd } = own ?? settings;
  if (tokens === 0 && usd === 0) return undefined;
  return { tokensMax: tokens, costMicrosMax: Math.round(usd * 1_000_000) };
}

/**
 * How far a turn is cut back because its tenant has used up a part of its day's budget, from nothing
 * to all. Each goes with those before it.
 */
export type Rung = "full" | "no_rerank" | "no_judgement" | "templates_only";

/** By what of the budget is nearer to its end. */
export function rungOf(used: Used, budget: Budget, settings: BudgetSettings): Rung {
  const part = (of: number, max: number) => (max === 0 ? 0 : of / max);
  const spent = Math.max(
    part(used.tokens, budget.tokensMax),
    part(used.costMicros, budget.costMicrosMax),
  );
  if (spent >= settings.templates_only_from) return "templates_only";
  if (spent >= settings.no_judgement_from) return "no_judgement";
  return spent >= settings.no_rerank_from ? "no_rerank" : "full";
}

/** What of a turn costs money. */
type Costly = "rerank" | "judgement" | "writing";

export function affords(rung: Rung, what: Costly): boolean {
  switch (rung) {
    case "full":
      return true;
    case "no_rerank":
      return what !== "rerank";
    case "no_judgement":
      return what === "writing";
    case "templates_only":
      return false;
  }
}
