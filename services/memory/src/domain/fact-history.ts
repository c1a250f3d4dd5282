import { canonicaliser } from "./canonical.ts";
import { type Fact, factsOf, type Sayings, standing } from "./facts.ts";

/** Why a version is believed no more: it was cut anew, or nothing of its fact is left. */
export type SupersededBy = "recut" | "retracted" | "merged" | "succession";

/** A fact with the recorded time over which it was believed, in milliseconds; Infinity: still. */
export interface FactVersion extends Fact {
  readonly recordedAt: number;
  readonly supersededAt: number;
  readonly supersededBy: SupersededBy | undefined;
}

export interface FactChanges<Known extends Fact> {
  readonly superseded: readonly { readonly fact: Known; readonly by: SupersededBy }[];
  readonly opened: readonly Fact[];
}

/** What has to be superseded and what opened so that the facts believed are the ones that hold now. */
export function factChanges<Known extends Fact>(
  believed: readonly Known[],
  facts: readonly Fact[],
  said: Sayings,
  recordedAt: number,
): FactChanges<Known> {
  const wanted = new Map(facts.map((fact) => [versionKey(fact), fact]));
  const kept = new Set(believed.map(versionKey));
  const left = new Set(facts.map(({ factId }) => factId));
  const canonical = canonicaliser(said.merges, recordedAt);
  const claims = new Map(said.claims.map((claim) => [claim.id, claim]));
  const counting = new Set(standing(said, recordedAt).map(({ id }) => id));
  const reasonFor = (fact: Known): SupersededBy => {
    if (left.has(fact.factId)) return "recut";
    const { value, subject } = fact;
    if (canonical(subject) !== subject) return "merged";
    if (value.kind === "entity" && canonical(value.id) !== value.id) return "merged";
    if (!fact.claimIds.some((id) => counting.has(id))) return "retracted";
    // An unmerge gives the claims back to whom they were said of.
    const stray = fact.claimIds.some(
      (id) => canonical(claims.get(id)?.subject ?? subject) !== subject,
    );
    return stray ? "merged" : "succession";
  };
  return {
    superseded: believed
      .filter((fact) => !wanted.has(versionKey(fact)))
      .map((fact) => ({ fact, by: reasonFor(fact) })),
    opened: facts.filter((fact) => !kept.has(versionKey(fact))),
  };
}

/** Every version that a group ever had, from what was said alone: what its table must hold. */
export function factHistory(said: Sayings): readonly FactVersion[] {
  const versions: FactVersion[] = [];
  let believed: readonly FactVersion[] = [];
  for (const recordedAt of instantsOf(said)) {
    const { superseded, opened } = factChanges(
      believed,
      factsOf(said, recordedAt),
      said,
      recordedAt,
    );
    const over = new Set(superseded.map(({ fact }) => fact));
    for (const { fact, by } of superseded)
      versions.push({ ...fact, supersededAt: recordedAt, supersededBy: by });
    believed = [
      ...believed.filter((version) => !over.has(version)),
      ...opened.map((fact) => ({
        ...fact,
        recordedAt,
        supersededAt: Infinity,
        supersededBy: undefined,
      })),
    ];
  }
  return [...versions, ...believed];
}

/** The recorded times at which anything may have changed, ascending. */
function instantsOf({ claims, merges, uses }: Sayings): readonly number[] {
  const dates = [
    ...claims.map(({ recordedAt }) => recordedAt),
    ...merges.flatMap(({ recordedAt, undoneAt }) => [recordedAt, ...(undoneAt ? [undoneAt] : [])]),
    ...uses.map(({ recordedAt }) => recordedAt),
  ];
  return [...new Set(dates.map((date) => date.getTime()))].toSorted((a, b) => a - b);
}

/** Two facts with the same key need no new version. */
export function versionKey(fact: Fact): string {
  const { factId, slot, from, to, claimIds, reason, disputed } = fact;
  return JSON.stringify([factId, slot, from, String(to), claimIds, reason, disputed]);
}
