import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Belief,
  type Believed,
  BelievedSchema,
  BeliefSchema,
} from "@soldier/proto/alignment/v1/alignment_service";
import { FactState, type FactVersion } from "@soldier/proto/memory/v1/memory";
import type { CustomerProfile, ProfileField } from "@soldier/proto/profile/v1/profile";
import { type Json, jsonOf, valueOf } from "./json.ts";
import { dayOf, factNote, factState, fieldKnowledge, fieldNote, isOver } from "./provenance.ts";
import { spoken } from "./templates.ts";

/** "Then" and "now". */
export interface Instants {
  readonly at: Date;
  readonly now: Date;
}

/** A customer's profile on both axes of time. */
export interface ProfileViews {
  /** As it was then, as it was known then. */
  readonly past: CustomerProfile | undefined;
  /** As it was then, as it is known now. */
  readonly hindsight: CustomerProfile | undefined;
  /** As it is now. */
  readonly present: CustomerProfile | undefined;
}

type Change =
  | "same"
  | "corrected"
  | "changed"
  | "taken_back"
  | "ended"
  | "expired"
  | "learned_later"
  | "erased";

/** What was believed and what is, with how they differ. */
interface Compared {
  readonly was: Believed | undefined;
  readonly is: Believed | undefined;
  readonly change: Change;
  readonly changedAt: Timestamp | undefined;
}

/** Each field that was known then, that the turn used, or that is known now to have held then. */
export function fieldBeliefs(
  views: ProfileViews,
  used: readonly string[],
  instants: Instants,
): readonly Belief[] {
  const names = new Set([
    ...used,
    ...Object.keys(views.past?.fields ?? {}),
    ...Object.keys(views.hindsight?.fields ?? {}),
  ]);
  return [...names].toSorted().map((name) => {
    const compared = comparedField(name, views, instants);
    return beliefOf(compared, { name, used: used.includes(name) });
  });
}

function comparedField(name: string, views: ProfileViews, { at, now }: Instants): Compared {
  const then = views.past?.fields[name];
  const hindsight = views.hindsight?.fields[name];
  const present = views.present?.fields[name];
  const was = then && ofField(then, at);
  const change = (
    kind: Change,
    instead?: ProfileField,
    changedAt: Timestamp | undefined = instead?.recordedAt,
  ): Compared => ({ was, is: instead && ofField(instead, now), change: kind, changedAt });

  if (!then) return hindsight ? change("learned_later", hindsight) : change("erased");
  if (!hindsight) return change("taken_back");
  if (!isSameValue(then, hindsight)) return change("corrected", hindsight);
  if (present && isSameValue(then, present)) return change("same");
  if (present) return change("changed", present, present.validFrom);
  if (isOver(hindsight.expiresAt, now)) return change("expired", undefined, hindsight.expiresAt);
  return change("ended", undefined, hindsight.validTo);
}

function ofField(field: ProfileField, at: Date): Believed {
  const { value, validFrom, validTo, recordedAt } = field;
  const times = { validFrom, validTo, recordedAt };
  return believed(jsonOf(value), fieldKnowledge(field, at), fieldNote(field, at), times);
}

function isSameValue(a: ProfileField, b: ProfileField): boolean {
  return canonical(jsonOf(a.value)) === canonical(jsonOf(b.value));
}

function canonical(value: Json | undefined): string {
  if (value === undefined) return "";
  return JSON.stringify(value, (_, part: Json) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** The facts of a customer on both axes of time: of the group of each id that is the customer's. */
export interface FactViews {
  /** What held then, as it was known then. */
  readonly past: readonly FactVersion[];
  /** Every interval, as it is known now. */
  readonly known: readonly FactVersion[];
  /** Names of entities, by id. */
  readonly names: ReadonlyMap<string, string>;
  /** All that the customer has, by merges then and now. */
  readonly customerIds: ReadonlySet<string>;
}

/** Each fact that was known then, that the turn used, or that is known now to have held then. */
export function factBeliefs(
  views: FactViews,
  used: readonly string[],
  instants: Instants,
): readonly Belief[] {
  const { past, names, customerIds } = views;
  const known = views.known.filter(({ state }) => state !== FactState.DISPUTED);
  const told = new Set<FactVersion>();
  const about = (fact: FactVersion) => ({
    name: fact.predicate,
    factId: fact.factId,
    subject: customerIds.has(fact.subject) ? "" : (names.get(fact.subject) ?? fact.subject),
    used: used.includes(fact.factId),
  });
  const believedThen = past.map((fact) => {
    const compared = comparedFact(fact, { ...views, known }, instants, told);
    return beliefOf(compared, about(fact));
  });
  const had = new Set(past.map(({ factId }) => factId));
  const learned = known
    .filter((fact) => holdsAt(fact, instants.at) && !had.has(fact.factId) && !told.has(fact))
    // What another of the merged customers has said, too, is nothing new.
    .filter(
      (fact) => !past.some((one) => isAlike(one, fact, views) && isSameFact(one, fact, views)),
    )
    .map((fact) => {
      const is = ofFact(fact, names, instants.now);
      const change = { change: "learned_later" as const, changedAt: fact.recordedAt };
      return beliefOf({ was: undefined, is, ...change }, about(fact));
    });
  const gone = used
    .filter((factId) => !had.has(factId))
    .map((factId) => {
      const nothing = { was: undefined, is: undefined, changedAt: undefined };
      return beliefOf({ ...nothing, change: "erased" }, { name: "", factId, used: true });
    });
  return [...believedThen, ...learned, ...gone].toSorted(
    (a, b) =>
      Number(b.used) - Number(a.used) || Number(a.change === "same") - Number(b.change === "same"),
  );
}

function comparedFact(
  fact: FactVersion,
  views: FactViews,
  { at, now }: Instants,
  told: Set<FactVersion>,
): Compared {
  const { known, names } = views;
  const was = ofFact(fact, names, at);
  const change = (kind: Change, instead?: FactVersion, changedAt?: Timestamp): Compared => {
    if (instead) told.add(instead);
    return { was, is: instead && ofFact(instead, names, now), change: kind, changedAt };
  };
  const alike = known.filter((one) => isAlike(one, fact, views));
  const still = alike.find((one) => one.factId === fact.factId && holdsAt(one, at));
  if (!still) {
    // What took its place was stored at the very instant at which it ceased to be believed.
    const instead = alike.find(
      (one) => holdsAt(one, at) && isSameTime(one.recordedAt, fact.supersededAt),
    );
    if (instead) return change("corrected", instead, instead.recordedAt);
    return change("taken_back", undefined, fact.supersededAt);
  }
  const rival = rivalAt(at, still, views);
  if (rival) return change("corrected", rival);
  if (!isOver(still.validTo, now)) {
    const newer = rivalAt(now, still, views);
    return newer ? change("changed", newer, newer.validFrom) : change("same");
  }
  const next = alike.find((one) => one.factId !== fact.factId && holdsAt(one, now));
  if (next && still.closeReason === "succession") return change("changed", next, still.validTo);
  return change("ended", undefined, still.validTo);
}

/**
 * Of a value that can be only one: what another of the merged customers has said of a later time. Memory
 * resolves each customer's group by itself; by its rule the later one holds.
 */
function rivalAt(at: Date, still: FactVersion, views: FactViews): FactVersion | undefined {
  if (!still.singleValued) return undefined;
  const [latest] = views.known
    .filter((one) => one.groupId !== still.groupId && isAlike(one, still, views))
    .filter((one) => holdsAt(one, at))
    .filter((one) => fromMs(one) > fromMs(still) && !isSameFact(one, still, views))
    .toSorted((a, b) => fromMs(b) - fromMs(a));
  return latest;
}

function fromMs({ validFrom }: FactVersion): number {
  return validFrom ? timestampMs(validFrom) : 0;
}

function isAlike(a: FactVersion, b: FactVersion, { customerIds }: FactViews): boolean {
  const ofCustomer = customerIds.has(a.subject) && customerIds.has(b.subject);
  return a.predicate === b.predicate && (a.subject === b.subject || ofCustomer);
}

/** A thing has an entity in each group: by its name it is the same. */
function isSameFact(a: FactVersion, b: FactVersion, { names }: FactViews): boolean {
  return canonical(saidOf(a, names)) === canonical(saidOf(b, names));
}

function saidOf({ value }: FactVersion, names: FactViews["names"]): Json | undefined {
  if (value.case === "object") return names.get(value.value) ?? value.value;
  return value.case === "literal" ? jsonOf(value.value) : undefined;
}

function ofFact(fact: FactVersion, names: FactViews["names"], at: Date): Believed {
  const { validFrom, validTo, recordedAt } = fact;
  return believed(saidOf(fact, names), factState(fact), factNote(fact, at), {
    validFrom,
    validTo,
    recordedAt,
  });
}

function believed(
  json: Json | undefined,
  state: string,
  note: string,
  times: Readonly<Record<"validFrom" | "validTo" | "recordedAt", Timestamp | undefined>>,
): Believed {
  const { validFrom, validTo, recordedAt } = times;
  return create(BelievedSchema, {
    state,
    note,
    ...(json !== undefined && { value: valueOf(json) }),
    ...(validFrom && { validFrom }),
    ...(validTo && { validTo }),
    ...(recordedAt && { recordedAt }),
  });
}

function beliefOf(
  { was, is, change, changedAt }: Compared,
  what: Partial<Pick<Belief, "name" | "subject" | "factId" | "used">>,
): Belief {
  return create(BeliefSchema, {
    ...what,
    change,
    told: inWords({ was, is, change, changedAt }),
    ...(was && { was }),
    ...(is && { is }),
    ...(changedAt && { changedAt }),
  });
}

function inWords({ was, is, change, changedAt }: Compared): string {
  const then = was ? `${words(was)} (${was.note})` : "not known";
  const now = is ? words(is) : "";
  const on = changedAt ? ` on ${dayOf(changedAt)}` : "";
  const since = changedAt ? ` since ${dayOf(changedAt)}` : "";
  const ends: Record<Change, string> = {
    same: then,
    corrected: `then: ${then}; now: ${now}, corrected${on}`,
    changed: `then: ${then}; now: ${now},${since}`,
    taken_back: `then: ${then}; taken back${on}`,
    ended: `then: ${then}; no longer so${since}`,
    expired: `then: ${then}; not known any more, expired${on}`,
    learned_later: `then: not known; now: ${now}, learned${on}`,
    erased: "what was believed has been erased",
  };
  return ends[change];
}

function words({ value }: Believed): string {
  const json = jsonOf(value);
  return spoken(json) ?? JSON.stringify(json ?? null);
}

function holdsAt({ validFrom, validTo }: FactVersion, at: Date): boolean {
  return isOver(validFrom, at) && !isOver(validTo, at);
}

function isSameTime(a: Timestamp | undefined, b: Timestamp | undefined): boolean {
  return a !== undefined && b !== undefined && a.seconds === b.seconds && a.nanos === b.nanos;
}
