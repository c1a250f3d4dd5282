/**
 * How far a turn is cut back because its tenant has used up a part of its day's budget, from nothing
 * to all. Each goes with those before it.
 */
export const rungs = ["full", "no_rerank", "no_judgement", "templates_only"] as const;
export type Rung = (typeof rungs)[number];

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
