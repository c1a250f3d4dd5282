import { createHash } from "node:crypto";
import { foldedName } from "./canonical.ts";

/** An entity as far as names decide which one is meant. */
export interface Candidate {
  readonly id: string;
  /** Who stands for it. */
  readonly canonicalId: string;
  readonly type: string;
  readonly name: string;
  readonly aliases: readonly string[];
}

export interface Suggestion {
  readonly entityId: string;
  /** 0 to 1: how alike the names are. */
  readonly score: number;
}

/** Which entity a name stands for. */
export type EntityDecision =
  | {
      readonly kind: "match";
      readonly entityId: string;
      readonly by: "name" | "alias" | "likeness";
    }
  /** Several have the name: a person has to say which. */
  | { readonly kind: "ambiguous"; readonly entityIds: readonly string[] }
  /** Nobody has it; these are somewhat alike, the most alike first. */
  | { readonly kind: "new"; readonly suggestions: readonly Suggestion[] };

/** Names this alike are taken for one, if they are long enough for that to say something. */
const sameFrom = 0.9;
const lengthMin = 6;
/** Names this alike are worth a look. */
const suggestedFrom = 0.4;
const suggestionsMax = 5;

/** A name without case, width, punctuation and superfluous space. */
export function comparedName(name: string): string {
  return foldedName(foldedName(name).replaceAll(/[^\p{L}\p{N}\p{M}]+/gu, " "));
}

/**
 * By the whole name, then by aliases, then by likeness: never of people, nor of short names, nor across
 * types. Whatever is less sure is a new entity, and a suggestion.
 */
export function decideEntity(
  mention: { readonly name: string; readonly type: string },
  entities: readonly Candidate[],
): EntityDecision {
  const wanted = comparedName(mention.name);
  const fitting = entities.filter((entity) => typesFit(mention.type, entity.type));
  const named = fitting.filter(({ name }) => comparedName(name) === wanted);
  if (named.length > 0) return decided(named, "name");
  const known = fitting.filter(({ aliases }) =>
    aliases.some((one) => comparedName(one) === wanted),
  );
  if (known.length > 0) return decided(known, "alias");
  const alike = fitting
    .map((entity) => ({ entity, score: likeness(wanted, comparedName(entity.name)) }))
    .toSorted((a, b) => b.score - a.score || (a.entity.id < b.entity.id ? -1 : 1));
  const same = alike.filter(
    ({ entity, score }) =>
      score >= sameFrom &&
      typeOf(mention.type) !== "person" &&
      typeOf(entity.type) !== "person" &&
      Math.min(wanted.length, comparedName(entity.name).length) >= lengthMin,
  );
  if (same.length > 0)
    return decided(
      same.map(({ entity }) => entity),
      "likeness",
    );
  const suggestions = alike
    .filter(({ score }) => score >= suggestedFrom)
    .slice(0, suggestionsMax)
    .map(({ entity, score }) => ({ entityId: entity.id, score }));
  return { kind: "new", suggestions };
}

function decided(found: readonly Candidate[], by: "name" | "alias" | "likeness"): EntityDecision {
  const [first] = found;
  const standing = new Set(found.map(({ canonicalId }) => canonicalId));
  if (first && standing.size === 1) {
    const own = found.find(({ id, canonicalId }) => id === canonicalId) ?? first;
    return { kind: "match", entityId: own.id, by };
  }
  return { kind: "ambiguous", entityIds: found.map(({ id }) => id) };
}

/** Pairs of a group's entities that may be one and are not merged, the likeliest first. */
export function likelyPairs(
  entities: readonly Candidate[],
  limit: number,
): readonly { readonly a: Candidate; readonly b: Candidate; readonly score: number }[] {
  const standing = entities.filter(({ id, canonicalId }) => id === canonicalId);
  const bySign = new Map<string, Candidate[]>();
  for (const entity of standing)
    for (const sign of new Set([comparedName(entity.name), ...trigrams(comparedName(entity.name))]))
      bySign.set(sign, [...(bySign.get(sign) ?? []), entity]);
  const pairs = new Map<string, { a: Candidate; b: Candidate; score: number }>();
  for (const alike of bySign.values())
    for (const [i, a] of alike.entries())
      for (const b of alike.slice(i + 1)) {
        const key = JSON.stringify([a.id, b.id]);
        if (pairs.has(key) || !typesFit(a.type, b.type)) continue;
        const score = likeness(comparedName(a.name), comparedName(b.name));
        if (score >= suggestedFrom) pairs.set(key, { a, b, score });
      }
  return [...pairs.values()]
    .toSorted((x, y) => y.score - x.score || (x.a.id + x.b.id < y.a.id + y.b.id ? -1 : 1))
    .slice(0, limit);
}

/** The id of an entity that is named for the first time: the same from whoever finds it first. */
export function entityIdOf(groupId: string, type: string, name: string, undecided = false): string {
  const parts = [groupId, typeOf(type), comparedName(name), ...(undecided ? ["undecided"] : [])];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

const synonyms: Readonly<Record<string, string>> = {
  org: "organisation",
  organization: "organisation",
  company: "organisation",
  location: "place",
  city: "place",
  human: "person",
};

function typeOf(type: string): string {
  const lower = type.toLowerCase();
  return synonyms[lower] ?? lower;
}

/** Every word for a type of entities, in lower case. */
export function typeNames(type: string): readonly string[] {
  const name = typeOf(type);
  return [name, ...Object.keys(synonyms).filter((word) => synonyms[word] === name)];
}

/** Something of no type may be anything. */
function typesFit(a: string, b: string): boolean {
  return a === "" || b === "" || typeOf(a) === typeOf(b);
}

/** Jaccard of the sets of trigrams. */
function likeness(a: string, b: string): number {
  const [ofA, ofB] = [trigrams(a), trigrams(b)];
  const both = [...ofA].filter((each) => ofB.has(each)).length;
  return both === 0 ? 0 : both / (ofA.size + ofB.size - both);
}

function trigrams(name: string): ReadonlySet<string> {
  const padded = `  ${name} `;
  return new Set(
    Array.from({ length: Math.max(0, padded.length - 2) }, (_, i) => padded.slice(i, i + 3)),
  );
}
