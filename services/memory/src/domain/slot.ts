/**
 * Resolution of a slot: what holds when, as a pure function of what was said. A slot is what can have
 * one holder at a time: a subject and a predicate that has one value, or also a value when it has many.
 * Times are milliseconds since 1970, Infinity is open, intervals are without their end.
 */

/** An ASSERT in its slot. Its object is the value that competes for the slot. */
export interface SlotAssert {
  readonly id: string;
  readonly object: string;
  readonly from: number;
  /** As stated. */
  readonly to: number;
  /** Rank of its authority, rising. */
  readonly authority: number;
  readonly recordedAt: number;
}

/** An END in its slot. */
export interface SlotEnd {
  /** The assert that is meant; undefined: every one of the object. */
  readonly target: string | undefined;
  /** Undefined: of any object. */
  readonly object: string | undefined;
  readonly at: number;
}

export interface SlotPolicy {
  /** An assert of this authority gives way only to its like: the newcomer is disputed. Infinity: none does. */
  readonly protectedFrom: number;
}

export type CloseReason = "end" | "succession" | "masked";

/** What holds in a slot over an interval. */
export interface Piece {
  readonly object: string;
  readonly from: number;
  readonly to: number;
  /** Asserts of the object that cover some of the interval, the earliest first. */
  readonly claimIds: readonly string[];
  /** Why it ends; undefined when open. */
  readonly reason: CloseReason | undefined;
  /** It does not hold: it is weaker than the protected one that it contradicts. */
  readonly disputed: boolean;
}

/** An assert with where it ends by itself, by an END or by an open successor. */
interface Bounded extends SlotAssert {
  readonly end: number;
  readonly why: Exclude<CloseReason, "masked">;
}

export const plainPolicy: SlotPolicy = { protectedFrom: Infinity };

/** The pieces of a slot, by their beginnings: those that hold never overlap. */
export function resolveSlot(
  asserts: readonly SlotAssert[],
  ends: readonly SlotEnd[],
  policy: SlotPolicy = plainPolicy,
): readonly Piece[] {
  const bounded = bound(asserts, ends, policy);
  const held = holdings(bounded, policy);
  const holding = held.map((each) => pieceOf(each, bounded, false));
  if (policy.protectedFrom === Infinity) return holding;
  // Disputed is what would hold if only time counted, and does not.
  const byTime = bound(asserts, ends, plainPolicy);
  const disputed = holdings(byTime, plainPolicy).flatMap((wanted) => overruled(wanted, held));
  return [...holding, ...disputed.map((each) => pieceOf(each, byTime, true))].toSorted(
    (a, b) => a.from - b.from || (a.object < b.object ? -1 : 1),
  );
}

/**
 * The object that holds at an instant, by the definition alone; undefined when none does. What
 * resolveSlot says of every instant at once.
 */
export function holderAt(
  asserts: readonly SlotAssert[],
  ends: readonly SlotEnd[],
  instant: number,
  policy: SlotPolicy = plainPolicy,
): string | undefined {
  const holds = (assert: SlotAssert) =>
    assert.from <= instant &&
    instant < assert.to &&
    !ends.some((end) => isEndOf(end, assert) && end.at <= instant) &&
    !asserts.some((other) => succeeds(other, assert, policy) && other.from <= instant);
  const [first, ...rest] = asserts.filter(holds);
  if (!first) return undefined;
  return rest.reduce((best, one) => (rank(one, best, policy) > 0 ? one : best), first).object;
}

/** Each assert with its nominal end, by their beginnings; without those that never hold. */
function bound(
  asserts: readonly SlotAssert[],
  ends: readonly SlotEnd[],
  policy: SlotPolicy,
): readonly Bounded[] {
  const sorted = asserts.toSorted((a, b) => a.from - b.from);
  const openers = sorted.filter(({ to }) => to === Infinity);
  return sorted
    .map((assert): Bounded => {
      const ended = ends.filter((end) => isEndOf(end, assert)).map(({ at }) => at);
      const stated = Math.min(assert.to, ...ended);
      const succeeded = openers.find((other) => succeeds(other, assert, policy))?.from ?? Infinity;
      return succeeded < stated
        ? { ...assert, end: succeeded, why: "succession" }
        : { ...assert, end: stated, why: "end" };
    })
    .filter(({ from, end }) => from < end);
}

/** Whether the END is of this assert. One from before it began is of an earlier time of the same thing. */
function isEndOf(end: SlotEnd, assert: SlotAssert): boolean {
  if (end.at <= assert.from) return false;
  if (end.target !== undefined) return end.target === assert.id;
  return end.object === undefined || end.object === assert.object;
}

/** Whether the newcomer ends the other for good: only what is open does, what is bounded masks. */
function succeeds(newcomer: SlotAssert, other: SlotAssert, policy: SlotPolicy): boolean {
  return (
    newcomer.to === Infinity &&
    newcomer.from > other.from &&
    newcomer.object !== other.object &&
    !yields(newcomer, other, policy)
  );
}

/** Whether the newcomer can't take the place of the other, whatever its time. */
function yields(newcomer: SlotAssert, other: SlotAssert, { protectedFrom }: SlotPolicy): boolean {
  return other.authority >= protectedFrom && newcomer.authority < protectedFrom;
}

/** Positive when a goes before b at an instant that both cover. */
function rank(a: SlotAssert, b: SlotAssert, policy: SlotPolicy): number {
  if (yields(b, a, policy)) return 1;
  if (yields(a, b, policy)) return -1;
  return (
    a.from - b.from ||
    a.authority - b.authority ||
    a.recordedAt - b.recordedAt ||
    (a.id < b.id ? -1 : 1)
  );
}

interface Holding {
  readonly object: string;
  readonly from: number;
  readonly to: number;
}

/** Sweeps over the instants at which the holder can change, and joins what has the same object. */
function holdings(bounded: readonly Bounded[], policy: SlotPolicy): readonly Holding[] {
  const instants = [...new Set(bounded.flatMap(({ from, end }) => [from, end]))].toSorted(
    (a, b) => a - b,
  );
  const held: Holding[] = [];
  let covering: Bounded[] = [];
  let next = 0; // bounded is by beginnings
  for (const [i, instant] of instants.entries()) {
    covering = covering.filter(({ end }) => end > instant);
    for (let one = bounded[next]; one && one.from === instant; one = bounded[++next])
      covering.push(one);
    const [first] = covering;
    if (!first) continue;
    const { object } = covering.reduce(
      (best, one) => (rank(one, best, policy) > 0 ? one : best),
      first,
    );
    const to = instants[i + 1] ?? Infinity;
    const last = held.at(-1);
    if (last && last.object === object && last.to === instant)
      held[held.length - 1] = { ...last, to };
    else held.push({ object, from: instant, to });
  }
  return held;
}

/** The parts of what would hold by time alone at which something else does. */
function overruled(wanted: Holding, held: readonly Holding[]): readonly Holding[] {
  const parts: Holding[] = [];
  for (const { object, from, to } of held) {
    if (object === wanted.object || from >= wanted.to || to <= wanted.from) continue;
    const part = {
      object: wanted.object,
      from: Math.max(from, wanted.from),
      to: Math.min(to, wanted.to),
    };
    const last = parts.at(-1);
    if (last?.to === part.from) parts[parts.length - 1] = { ...last, to: part.to };
    else parts.push(part);
  }
  return parts;
}

function pieceOf(holding: Holding, bounded: readonly Bounded[], disputed: boolean): Piece {
  const { object, from, to } = holding;
  const sources = bounded
    .filter((one) => one.object === object && one.from < to && one.end > from)
    .toSorted((a, b) => a.from - b.from || a.recordedAt - b.recordedAt || (a.id < b.id ? -1 : 1));
  return {
    object,
    from,
    to,
    claimIds: sources.map(({ id }) => id),
    reason: to === Infinity ? undefined : reasonOf(to, sources),
    disputed,
  };
}

function reasonOf(to: number, sources: readonly Bounded[]): CloseReason {
  if (sources.some(({ end }) => end > to)) return "masked";
  return sources.some(({ end, why }) => end === to && why === "end") ? "end" : "succession";
}
