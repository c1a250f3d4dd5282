import { createHash } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { canonicaliser, type Merge } from "./canonical.ts";
import {
  authorities,
  type Authority,
  beginning,
  type Claim,
  type ClaimValue,
  ending,
  valueKey,
} from "./claim.ts";
import {
  type CloseReason,
  type Piece,
  plainPolicy,
  resolveSlot,
  type SlotAssert,
  type SlotEnd,
  type SlotPolicy,
} from "./slot.ts";

/** What of a predicate decides which facts hold. */
export interface PredicateRule {
  readonly cardinality: "one" | "many";
  /** A value belongs to one subject at a time. */
  readonly inverseOne: boolean;
  /** A verified value is not displaced by a weaker one. */
  readonly authorityFirst: boolean;
}

/** Of a predicate that nobody declared: it never ends anything by itself. */
export const unknownPredicate: PredicateRule = {
  cardinality: "many",
  inverseOne: false,
  authorityFirst: false,
};

/** A predicate's rule in a group, from a recorded time on. */
export interface PredicateUse {
  readonly predicate: string;
  readonly rule: PredicateRule;
  readonly recordedAt: Date;
}

/** All that is said in a group; what counts of it depends on the recorded time. */
export interface Sayings {
  readonly tenantId: string;
  readonly groupId: string;
  readonly claims: readonly Claim[];
  readonly merges: readonly Merge[];
  readonly uses: readonly PredicateUse[];
  /** Episodes whose claims never were, at any recorded time. */
  readonly erased?: ReadonlySet<string>;
}

/** What is believed to hold over an interval, in milliseconds since 1970; Infinity is open. */
export interface Fact {
  /** The same for the same group, subject, predicate and value. */
  readonly factId: string;
  /** What can have one holder at a time. */
  readonly slot: string;
  /** The same seen from its value, where a value belongs to one subject at a time. */
  readonly inverseSlot: string | undefined;
  readonly subject: string;
  readonly predicate: string;
  readonly value: ClaimValue;
  readonly from: number;
  readonly to: number;
  readonly claimIds: readonly string[];
  readonly reason: CloseReason | undefined;
  readonly disputed: boolean;
  /** The strongest of its claims. */
  readonly authority: Authority;
  readonly confirmedAt: number;
  /** What else its claims say, of each name what was recorded last. */
  readonly attributes: JsonObject;
}

/** An ASSERT or END under the names that stand for its own. */
interface Named {
  readonly claim: Claim;
  readonly subject: string;
  /** Undefined: of any value. */
  readonly object: string | undefined;
}

const verified = authorities.indexOf("verified");

/** The facts of a group as believed at a recorded time: a pure function of what was said. */
export function factsOf(said: Sayings, recordedAt: number): readonly Fact[] {
  const canonical = canonicaliser(said.merges, recordedAt);
  const rules = rulesAt(said.uses, recordedAt);
  const named = standing(said, recordedAt).map((claim) => nameOf(claim, canonical));
  const byPredicate = Map.groupBy(
    named.filter(({ subject, object }) => object !== `e:${subject}`),
    ({ claim }) => claim.predicate,
  );
  const claims = new Map(said.claims.map((claim) => [claim.id, claim]));
  return Array.from(byPredicate).flatMap(([predicate, of]) => {
    const rule = rules.get(predicate) ?? unknownPredicate;
    const policy = rule.authorityFirst ? { protectedFrom: verified } : plainPolicy;
    const pieces = forward(of, rule, policy);
    const kept = rule.inverseOne ? within(pieces, backward(of, policy)) : pieces;
    return kept.map(({ subject, piece }) => {
      const slotParts = [said.tenantId, said.groupId, subject, predicate];
      const factId = hashed([...slotParts, piece.object]);
      const slot = rule.cardinality === "one" ? hashed(slotParts) : factId;
      const inverseParts = [said.tenantId, said.groupId, predicate, piece.object, "inverse"];
      const inverseSlot = rule.inverseOne ? hashed(inverseParts) : undefined;
      return factOf({ predicate, subject, piece, claims, canonical, factId, slot, inverseSlot });
    });
  });
}

/** The claims that count at a recorded time: recorded by then, and not taken back by then. */
export function standing(said: Sayings, recordedAt: number): readonly Claim[] {
  const { claims, groupId, erased } = said;
  const known = claims.filter(
    (claim) =>
      claim.groupId === groupId &&
      claim.recordedAt.getTime() <= recordedAt &&
      !(claim.episodeId !== undefined && erased?.has(claim.episodeId)),
  );
  const retracts = known.filter(({ kind }) => kind === "retract");
  const targets = new Set(retracts.flatMap(({ target }) => target ?? []));
  const untargeted = retracts.filter(({ target }) => target === undefined);
  return known.filter(
    (claim) =>
      claim.kind !== "retract" &&
      !targets.has(claim.id) &&
      !untargeted.some((retract) => takesBack(retract, claim)) &&
      (claim.kind === "end" || beginning(claim) < ending(claim)),
  );
}

/**
 * A retract that names no claim is of all that was said before it of the same thing, under the same
 * name: what it took back does not change when names become one.
 */
function takesBack(retract: Claim, claim: Claim): boolean {
  return (
    claim.recordedAt < retract.recordedAt &&
    claim.kind === "assert" &&
    claim.subject === retract.subject &&
    claim.predicate === retract.predicate &&
    keyOf(claim) === keyOf(retract)
  );
}

function keyOf({ value }: Claim): string | undefined {
  return value && valueKey(value);
}

function rulesAt(uses: readonly PredicateUse[], recordedAt: number) {
  const rules = new Map<string, PredicateRule>();
  const inOrder = uses.toSorted((a, b) => a.recordedAt.getTime() - b.recordedAt.getTime());
  for (const use of inOrder)
    if (use.recordedAt.getTime() <= recordedAt) rules.set(use.predicate, use.rule);
  return rules;
}

function nameOf(claim: Claim, canonical: (id: string) => string): Named {
  return {
    claim,
    subject: canonical(claim.subject),
    object: claim.value && valueKey(canonicalValue(claim.value, canonical)),
  };
}

function canonicalValue(value: ClaimValue, canonical: (id: string) => string): ClaimValue {
  return value.kind === "entity" ? { kind: "entity", id: canonical(value.id) } : value;
}

interface Placed {
  readonly subject: string;
  readonly piece: Piece;
}

/** What holds of each subject. */
function forward(of: readonly Named[], rule: PredicateRule, policy: SlotPolicy): readonly Placed[] {
  const bySubject = Map.groupBy(of, ({ subject }) => subject);
  return Array.from(bySubject).flatMap(([subject, said]) =>
    slotsOf(said, rule.cardinality).flatMap((slot) =>
      resolve(slot, ({ object }) => object, policy).map((piece) => ({ subject, piece })),
    ),
  );
}

function slotsOf(said: readonly Named[], cardinality: PredicateRule["cardinality"]) {
  if (cardinality === "one") return [said];
  const objects = new Set(said.flatMap(({ object }) => object ?? []));
  return Array.from(objects, (object) =>
    said.filter((one) => one.object === undefined || one.object === object),
  );
}

/** Which subject each object belongs to. */
function backward(of: readonly Named[], policy: SlotPolicy): ReadonlyMap<string, readonly Piece[]> {
  const objects = new Set(of.flatMap(({ object }) => object ?? []));
  return new Map(
    Array.from(objects, (object) => {
      const said = of.filter((one) => one.object === undefined || one.object === object);
      return [object, resolve(said, ({ subject }) => subject, policy)];
    }),
  );
}

/** Pieces of subjects, cut to where their objects belong to them. */
function within(
  pieces: readonly Placed[],
  owners: ReadonlyMap<string, readonly Piece[]>,
): readonly Placed[] {
  return pieces.flatMap(({ subject, piece }) =>
    (owners.get(piece.object) ?? [])
      .filter((owner) => owner.object === subject && owner.from < piece.to && owner.to > piece.from)
      .map((owner) => ({
        subject,
        piece: {
          ...piece,
          from: Math.max(piece.from, owner.from),
          to: Math.min(piece.to, owner.to),
          reason: owner.to < piece.to ? owner.reason : piece.reason,
          disputed: piece.disputed || owner.disputed,
        },
      })),
  );
}

function resolve(
  said: readonly Named[],
  objectOf: (one: Named) => string | undefined,
  policy: SlotPolicy,
): readonly Piece[] {
  const asserts: SlotAssert[] = [];
  const ends: SlotEnd[] = [];
  for (const one of said) {
    const { claim } = one;
    const object = objectOf(one);
    if (claim.kind === "end") ends.push({ target: claim.target, object, at: ending(claim) });
    else if (object !== undefined) asserts.push(slotAssert(claim, object));
  }
  return resolveSlot(asserts, ends, policy);
}

function slotAssert(claim: Claim, object: string): SlotAssert {
  return {
    id: claim.id,
    object,
    from: beginning(claim),
    to: ending(claim),
    authority: authorities.indexOf(claim.authority),
    recordedAt: claim.recordedAt.getTime(),
  };
}

interface FactParts extends Placed {
  readonly predicate: string;
  readonly factId: string;
  readonly slot: string;
  readonly inverseSlot: string | undefined;
  readonly claims: ReadonlyMap<string, Claim>;
  readonly canonical: (id: string) => string;
}

function factOf(parts: FactParts): Fact {
  const { subject, predicate, piece, claims, canonical, factId, slot, inverseSlot } = parts;
  const sources = piece.claimIds.flatMap((id) => claims.get(id) ?? []);
  const [first] = sources;
  if (!first?.value) throw new Error("a fact rests on an assert with a value");
  return {
    factId,
    slot,
    inverseSlot,
    subject,
    predicate,
    value: canonicalValue(first.value, canonical),
    from: piece.from,
    to: piece.to,
    claimIds: piece.claimIds,
    reason: piece.reason,
    disputed: piece.disputed,
    authority:
      authorities[Math.max(...sources.map(({ authority }) => authorities.indexOf(authority)))] ??
      "inferred",
    confirmedAt: Math.max(...sources.map(({ saidAt }) => saidAt.getTime())),
    attributes: attributesOf(sources),
  };
}

function attributesOf(sources: readonly Claim[]): JsonObject {
  const inOrder = sources.toSorted(
    (a, b) => a.recordedAt.getTime() - b.recordedAt.getTime() || (a.id < b.id ? -1 : 1),
  );
  return Object.fromEntries(inOrder.flatMap(({ attributes = {} }) => Object.entries(attributes)));
}

/** 128 bits of SHA-256, as a UUID: parts can't run into each other. */
function hashed(parts: readonly string[]): string {
  const hex = createHash("sha256").update(JSON.stringify(parts)).digest("hex");
  return [0, 8, 12, 16, 20].map((at, i) => hex.slice(at, [8, 12, 16, 20, 32][i])).join("-");
}
