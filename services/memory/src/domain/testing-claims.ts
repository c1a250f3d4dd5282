import fc from "fast-check";
import type { Claim, ClaimKind } from "./claim.ts";
import type { PredicateRule, PredicateUse, Sayings } from "./facts.ts";

/** What a generated claim is made of: small numbers, so that it fails readably. */
export interface Drawn {
  readonly kind: ClaimKind;
  readonly group: "g" | "h";
  readonly subject: string;
  readonly predicate: string;
  readonly object: string;
  readonly from: number;
  /** Undefined is open. */
  readonly length: number | undefined;
  readonly assumed: boolean;
  readonly authority: Claim["authority"];
  readonly episode: number;
  /** Of an END or RETRACT: which claim before it, by its place; undefined: by what it says. */
  readonly target: number | undefined;
}

const start = Date.UTC(2020, 0, 1);
const day = 86_400_000;

/** Whole days of valid time that claims are about. */
export const days = 12;

export const dayAt = (number: number) => new Date(start + number * day);

export const rules: Readonly<Record<string, PredicateRule>> = {
  lives_in: { cardinality: "one", inverseOne: false, authorityFirst: false },
  likes: { cardinality: "many", inverseOne: false, authorityFirst: false },
  address: { cardinality: "one", inverseOne: false, authorityFirst: true },
  reached_at: { cardinality: "many", inverseOne: true, authorityFirst: false },
};

export const uses: readonly PredicateUse[] = Object.entries(rules).map(([predicate, rule]) => ({
  predicate,
  rule,
  recordedAt: new Date(0),
}));

const crowd = <T>(usual: T, ...others: T[]) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );

/** Half of them open-ended, three quarters about one slot: a sparse world misses what goes wrong. */
export const drawn: fc.Arbitrary<Drawn> = fc.record({
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constant<ClaimKind>("assert") },
    { weight: 3, arbitrary: fc.constant<ClaimKind>("end") },
    { weight: 1, arbitrary: fc.constant<ClaimKind>("retract") },
  ),
  group: crowd<"g" | "h">("g", "h"),
  subject: crowd("alice", "bob", "paris"),
  predicate: crowd("lives_in", "likes", "address", "reached_at"),
  object: fc.constantFrom("paris", "london", "rome", "alice"),
  from: fc.integer({ min: 0, max: days - 1 }),
  length: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined, freq: 2 }),
  assumed: fc.boolean(),
  authority: fc.constantFrom("inferred", "agent", "user", "verified"),
  episode: fc.integer({ min: 0, max: 4 }),
  target: fc.option(fc.integer({ min: 0, max: 11 }), { nil: undefined }),
});

export const history = fc.array(drawn, { maxLength: 12, size: "max" });

/** The claims, recorded one after the other; a claim keeps its id wherever the list is cut. */
export function claimsOf(drawings: readonly Drawn[]): readonly Claim[] {
  return drawings.map((one, i) => claimOf(one, i, drawings));
}

function claimOf(one: Drawn, i: number, all: readonly Drawn[]): Claim {
  const at = one.target === undefined || i === 0 ? undefined : one.target % i;
  const meant = at === undefined ? undefined : all[at];
  const targeted =
    one.kind !== "assert" && meant?.group === one.group && meant.kind === "assert"
      ? meant
      : undefined;
  const { subject, predicate, object } = targeted ?? one;
  const stated = one.kind === "end" ? dayAt(one.from) : undefined;
  const until = one.length === undefined ? undefined : dayAt(one.from + one.length);
  return {
    id: `c${String(i).padStart(2, "0")}`,
    groupId: one.group,
    kind: one.kind,
    subject,
    predicate,
    value: { kind: "entity", id: object },
    validFrom: one.kind === "assert" && !one.assumed ? dayAt(one.from) : undefined,
    validTo: one.kind === "assert" ? until : stated,
    timeBasis: one.assumed ? "assumed" : "stated",
    target: targeted && `c${String(at).padStart(2, "0")}`,
    episodeId: `e${one.episode}`,
    spanStart: 0,
    spanEnd: 0,
    authority: one.authority,
    confidence: 1,
    extractor: "test",
    saidAt: dayAt(one.from),
    recordedAt: new Date(1_000 + i),
  };
}

/** What is said in one group. */
export function saidIn(groupId: string, claims: readonly Claim[]): Sayings {
  return { tenantId: "acme", groupId, claims, merges: [], uses };
}
