import type { Claim } from "./claim.ts";
import type { PredicateRule } from "./facts.ts";

const weights = ["inferred", "agent", "user", "verified"];

/**
 * What holds at an instant as believed at a recorded time, by plain loops over the page that says
 * it: slow, without intervals, and sharing nothing with what it checks. "subject predicate object".
 */
export function holdersByLoop(
  all: readonly Claim[],
  rules: Readonly<Record<string, PredicateRule>>,
  recordedAt: number,
  instant: number,
): readonly string[] {
  const live: Claim[] = [];
  for (const claim of all) {
    if (claim.recordedAt.getTime() > recordedAt) continue;
    if (claim.kind === "retract") continue;
    if (object(claim) === claim.subject) continue;
    let taken = false;
    for (const other of all) {
      if (other.kind !== "retract" || other.recordedAt.getTime() > recordedAt) continue;
      if (other.target !== undefined) taken ||= other.target === claim.id;
      else if (claim.kind === "assert" && claim.recordedAt < other.recordedAt)
        taken ||=
          other.subject === claim.subject &&
          other.predicate === claim.predicate &&
          object(other) === object(claim);
    }
    if (!taken) live.push(claim);
  }
  const found = new Set<string>();
  for (const claim of live) {
    if (claim.kind !== "assert") continue;
    const rule = rules[claim.predicate];
    if (!rule) continue;
    const ofSubject = (other: Claim) =>
      other.subject === claim.subject &&
      (rule.cardinality === "one" || object(other) === object(claim));
    const ofObject = (other: Claim) => object(other) === object(claim);
    const { authorityFirst } = rule;
    const isHolder = best(live, claim, ofSubject, object, authorityFirst, instant);
    const isOwner =
      !rule.inverseOne || best(live, claim, ofObject, subject, authorityFirst, instant);
    if (isHolder && isOwner) found.add([claim.subject, claim.predicate, object(claim)].join(" "));
  }
  return [...found].toSorted();
}

/** Whether this claim or one of the same thing goes before all that cover the instant. */
function best(
  live: readonly Claim[],
  claim: Claim,
  inSlot: (other: Claim) => boolean,
  thing: (claim: Claim) => string,
  authorityFirst: boolean,
  instant: number,
): boolean {
  const slot = live.filter((other) => other.predicate === claim.predicate && inSlot(other));
  let winner: Claim | undefined;
  for (const one of slot) {
    if (one.kind !== "assert" || !covers(one, slot, thing, authorityFirst, instant)) continue;
    if (!winner || beats(one, winner, authorityFirst)) winner = one;
  }
  return winner !== undefined && thing(winner) === thing(claim);
}

function covers(
  one: Claim,
  slot: readonly Claim[],
  thing: (claim: Claim) => string,
  authorityFirst: boolean,
  instant: number,
): boolean {
  if (from(one) > instant) return false;
  if (one.validTo && one.validTo.getTime() <= instant) return false;
  for (const other of slot) {
    if (other.kind === "end") {
      const at = other.validTo?.getTime() ?? Number.NaN;
      const meant =
        other.target === undefined ? thing(other) === thing(one) : other.target === one.id;
      if (meant && at > from(one) && at <= instant) return false;
    } else if (
      !other.validTo &&
      thing(other) !== thing(one) &&
      from(other) > from(one) &&
      from(other) <= instant &&
      !(authorityFirst && one.authority === "verified" && other.authority !== "verified")
    )
      return false;
  }
  return true;
}

function beats(a: Claim, b: Claim, authorityFirst: boolean): boolean {
  const checked = (claim: Claim) => (authorityFirst && claim.authority === "verified" ? 1 : 0);
  if (checked(a) !== checked(b)) return checked(a) > checked(b);
  if (from(a) !== from(b)) return from(a) > from(b);
  const [ofA, ofB] = [weights.indexOf(a.authority), weights.indexOf(b.authority)];
  if (ofA !== ofB) return ofA > ofB;
  if (a.recordedAt.getTime() !== b.recordedAt.getTime()) return a.recordedAt > b.recordedAt;
  return a.id > b.id;
}

function from(claim: Claim): number {
  return (claim.validFrom ?? claim.saidAt).getTime();
}

function subject(claim: Claim): string {
  return claim.subject;
}

function object(claim: Claim): string {
  return claim.value?.kind === "entity" ? claim.value.id : "";
}
