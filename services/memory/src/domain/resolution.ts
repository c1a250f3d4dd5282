import type { Claim, ClaimValue, NewClaim } from "./claim.ts";
import { claimIdOf } from "./claim.ts";
import type { Entity } from "./entity.ts";
import { type Candidate, comparedName, decideEntity, entityIdOf } from "./entity-matching.ts";
import type { Episode } from "./episode.ts";
import {
  type Extraction,
  type FoundClaim,
  type FoundCorrection,
  type FoundValue,
  literalText,
  type Named,
} from "./finding.ts";

/** A fact about the customer that a correction may be of. */
export interface CorrectableFact {
  readonly predicate: string;
  readonly value: ClaimValue;
  readonly from: Date;
  readonly verified: boolean;
  /** Of its claims: what was said last before the correction, in the same session. */
  readonly latest: boolean;
}

export interface Known {
  readonly episode: Episode;
  /** Of the episode's group. */
  readonly entities: readonly Candidate[];
  /** What was claimed from this episode before, and is not taken back. */
  readonly earlier: readonly Pick<Claim, "id" | "extractor" | "subject" | "predicate">[];
  /** Ids of what a reading of ours has taken back since it was claimed from this episode. */
  readonly withdrawn: ReadonlySet<string>;
  readonly facts: readonly CorrectableFact[];
}

/** What is to be stored for an episode. */
export interface Resolution {
  /** Named for the first time. */
  readonly entities: readonly Entity[];
  readonly claims: readonly NewClaim[];
  /** Each for a person to accept or to drop. */
  readonly undecided: readonly (readonly NewClaim[])[];
  /** Findings that cannot be claims, by why. */
  readonly dropped: readonly string[];
}

/** Lets names stand for entities, corrections for what they correct, and a newer reading for an older. */
export function resolveFindings(extraction: Extraction, known: Known): Resolution {
  const { episode, entities: there, earlier, facts } = known;
  const { groupId, customerId } = episode;
  const made = new Map<string, Entity>();
  const dropped: string[] = [];

  function entityFor(name: string, type: string): string {
    const decision = decideEntity({ name, type }, there);
    if (decision.kind === "match") return decision.entityId;
    const id = entityIdOf(groupId, type, name, decision.kind === "ambiguous");
    if (!there.some((entity) => entity.id === id))
      made.set(id, { id, groupId, type, name, aliases: [] });
    return id;
  }
  const idOf = (named: Named): string => {
    if (named.kind === "customer") return customerId;
    return named.kind === "entity" ? named.id : entityFor(named.name, named.type);
  };
  const valueOf = (value: FoundValue): ClaimValue =>
    value.kind === "literal" ? value : { kind: "entity", id: idOf(value) };

  const base = { episodeId: episode.id, extractor: extraction.extractor, target: undefined };
  const withId = (claim: Omit<NewClaim, "id">): NewClaim => {
    let round = 0;
    while (known.withdrawn.has(claimIdOf(groupId, claim, round))) round++;
    return { ...claim, id: claimIdOf(groupId, claim, round) };
  };
  const undated = { validFrom: undefined, validTo: undefined, timeBasis: "assumed" } as const;

  function claimOf(found: FoundClaim): NewClaim | undefined {
    const { validFrom, validTo, ...rest } = found;
    const from = validFrom === undefined ? undefined : new Date(validFrom);
    const to = validTo === undefined ? undefined : new Date(validTo);
    const problem = impossible(found, from, to, episode.occurredAt);
    const subject = problem ? "" : idOf(found.subject);
    const why = problem ?? (subject === "" ? "no customer" : undefined);
    if (why !== undefined) {
      dropped.push(why);
      return undefined;
    }
    const value = found.value && valueOf(found.value);
    return withId({ ...base, ...rest, subject, value, validFrom: from, validTo: to });
  }

  const corrections = extraction.findings.filter((one) => one.kind === "correction");
  const said = extraction.findings.filter((one) => one.kind !== "correction");
  const inPlace = corrections.filter(({ wrong }) => said.some((one) => names(one.value, wrong)));
  const claims = said.flatMap((found) => {
    const correction = inPlace.find(({ wrong }) => names(found.value, wrong));
    const meant = correction ? { ...found, value: renamed(found.value, correction.right) } : found;
    return claimOf(meant) ?? [];
  });

  const undecided: NewClaim[][] = [];
  for (const correction of corrections.filter((one) => !inPlace.includes(one))) {
    const options = facts.filter((fact) => isMeant(fact, correction, there));
    const alternatives = options.map((fact) => corrected(fact, correction));
    const [only] = alternatives;
    if (!only) dropped.push("nothing to correct");
    else if (alternatives.length === 1 && options[0]?.verified === false) claims.push(...only);
    else undecided.push(...alternatives);
  }

  function corrected(fact: CorrectableFact, correction: FoundCorrection): NewClaim[] {
    const { right, authority, spanStart, spanEnd } = correction;
    const { predicate } = fact;
    const common = {
      ...base,
      authority,
      spanStart,
      spanEnd,
      confidence: 0.7,
      subject: customerId,
      predicate,
    };
    const old = fact.value;
    const type = old.kind === "entity" ? there.find(({ id }) => id === old.id)?.type : undefined;
    const value: ClaimValue =
      old.kind === "entity"
        ? { kind: "entity", id: entityFor(right, type ?? "") }
        : { kind: "literal", json: right };
    const times = { validFrom: fact.from, validTo: undefined, timeBasis: "inferred" } as const;
    return [
      withId({ ...common, ...undated, kind: "retract", value: old }),
      withId({ ...common, ...times, kind: "assert", value }),
    ];
  }

  const older = earlier.filter(
    ({ extractor }) => isMachine(extractor) && extractor !== extraction.extractor,
  );
  const taken = older.map(({ id, subject, predicate }) =>
    withId({
      ...base,
      ...undated,
      kind: "retract",
      target: id,
      subject,
      predicate,
      value: undefined,
      authority: "inferred",
      confidence: 1,
      spanStart: 0,
      spanEnd: 0,
    }),
  );
  return { entities: [...made.values()], claims: [...taken, ...claims], undecided, dropped };
}

/** Whether claims come from a reading of ours, which a newer one may take back; a person's never. */
export function isMachine(extractor: string): boolean {
  return /^(?:pattern|llm):/.test(extractor);
}

function impossible(
  { kind }: FoundClaim,
  from: Date | undefined,
  to: Date | undefined,
  saidAt: Date,
): string | undefined {
  if ([from, to].some((time) => time && Number.isNaN(time.getTime()))) return "no time";
  if (kind === "assert" && to && (from ?? saidAt) >= to) return "impossible interval";
  return undefined;
}

function names(value: FoundValue | undefined, name: string | undefined): boolean {
  if (!value || name === undefined) return false;
  const wanted = comparedName(name);
  if (value.kind === "mention") return comparedName(value.name) === wanted;
  return value.kind === "literal" && comparedName(literalText(value.json)) === wanted;
}

function renamed(value: FoundValue | undefined, right: string): FoundValue | undefined {
  if (value?.kind === "mention") return { ...value, name: right };
  return { kind: "literal", json: right };
}

function isMeant(
  { value, latest }: CorrectableFact,
  { wrong }: FoundCorrection,
  entities: readonly Candidate[],
): boolean {
  if (wrong === undefined) return latest;
  const wanted = comparedName(wrong);
  if (value.kind === "literal") return comparedName(literalText(value.json)) === wanted;
  const entity = entities.find(({ id }) => id === value.id);
  const all = entity ? [entity.name, ...entity.aliases] : [value.id];
  return all.some((name) => comparedName(name) === wanted);
}
