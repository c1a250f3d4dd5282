import type { Claim } from "./claim.ts";
import { valueKey } from "./claim.ts";
import type { Merge } from "./canonical.ts";
import type { Fact } from "./facts.ts";

/** What is to be erased. */
export type ErasureScope =
  | { readonly kind: "episode"; readonly episodeId: string }
  | { readonly kind: "session"; readonly sessionId: string }
  | { readonly kind: "customer"; readonly customerId: string }
  | { readonly kind: "tenant" }
  /** What an agent heard and said before then: its retention. */
  | { readonly kind: "expired"; readonly agentId: string; readonly before: Date };

/** What the scope is called; empty for the tenant itself. */
export function scopeId(scope: ErasureScope): string {
  switch (scope.kind) {
    case "episode":
      return scope.episodeId;
    case "session":
      return scope.sessionId;
    case "customer":
      return scope.customerId;
    case "expired":
      return scope.agentId;
    case "tenant":
      return "";
  }
}

/** How many of each kind of thing. */
export type Counts = Readonly<Record<string, number>>;

export function sumOf(all: readonly Counts[]): Counts {
  const sum: Record<string, number> = {};
  for (const counts of all)
    for (const [kind, count] of Object.entries(counts)) sum[kind] = (sum[kind] ?? 0) + count;
  return sum;
}

/**
 * What of erased claims stays. A retraction keeps taking back what it took back, of which it says
 * no more than the surviving claim does itself: nothing that anybody said in the erased text.
 */
export function contentFree(
  erased: readonly Claim[],
  surviving: readonly Claim[],
  idOf: (retract: Claim, target: Claim) => string,
): readonly Claim[] {
  return erased.flatMap((retract) => {
    if (retract.kind !== "retract") return [];
    return surviving
      .filter((claim) => isTargetOf(claim, retract))
      .map((target): Claim => {
        const { subject, predicate, value } = target;
        return {
          ...retract,
          id: idOf(retract, target),
          subject,
          predicate,
          value,
          target: target.id,
          validFrom: undefined,
          validTo: undefined,
          timeBasis: "assumed",
          episodeId: undefined,
          spanStart: 0,
          spanEnd: 0,
          saidAt: retract.recordedAt,
          confidence: 1,
          extractor: "erased",
          attributes: undefined,
        };
      });
  });
}

function isTargetOf(claim: Claim, retract: Claim): boolean {
  if (retract.target !== undefined) return retract.target === claim.id;
  return (
    claim.kind === "assert" &&
    claim.recordedAt < retract.recordedAt &&
    claim.subject === retract.subject &&
    claim.predicate === retract.predicate &&
    keyOf(claim) === keyOf(retract)
  );
}

function keyOf({ value }: Claim): string | undefined {
  return value && valueKey(value);
}

/** The facts that hold for longer than before: what had ended or covered them is gone. */
export function reopened(before: readonly Fact[], after: readonly Fact[]): readonly string[] {
  const longer = after.filter((fact) => {
    if (fact.disputed) return false;
    const was = before.filter(({ factId, disputed }) => factId === fact.factId && !disputed);
    if (was.length === 0) return before.some(({ slot }) => slot === fact.slot);
    return !was.some(({ from, to }) => from <= fact.from && to >= fact.to);
  });
  return [...new Set(longer.map(({ factId }) => factId))];
}

/** All that was ever merged with these, whatever was undone since: their histories hang together. */
export function mergedWith(ids: Iterable<string>, merges: readonly Merge[]): ReadonlySet<string> {
  const found = new Set(ids);
  for (let size = -1; size !== found.size;) {
    size = found.size;
    for (const { from, to } of merges)
      if (found.has(from) || found.has(to)) found.add(from).add(to);
  }
  return found;
}
