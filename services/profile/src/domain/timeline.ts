import { type Claim, knownUntil, outcomeOf, type Standing, standingAfter } from "./claim.ts";

/** A claim over an interval of the world's time in which it held, or waited against what held. */
export interface Span {
  readonly claim: Claim;
  /** It waited: a verified value stood against it. */
  readonly disputed: boolean;
  readonly from: Date;
  /** Undefined: until something else is said. */
  readonly to: Date | undefined;
}

/**
 * How a field stood, stands and will stand, by all claims on it: a pure function of their set. At an
 * instant, the claims whose own intervals have it are judged in the order of their beginnings, each
 * against what the ones before it left (outcomeOf). So what was only true for a while masks what it
 * displaced, which then goes on; what is true until further notice ends it for good; what comes late
 * takes the place that its time gives it; a value that is no longer known makes room for any other.
 */
export function timelineOf(claims: readonly Claim[]): readonly Span[] {
  const ordered = inOrder(claims);
  const endings = new Set(ordered.flatMap(({ validTo }) => validTo?.getTime() ?? []));
  const timeline = new Timeline();
  let standing: Standing | undefined;
  let begun = 0;
  for (const at of instantsOf(ordered)) {
    if (endings.has(at)) standing = judged(ordered.slice(0, begun).filter(isTrueAt(at)));
    for (let next = ordered[begun]; next && next.validFrom.getTime() <= at; next = ordered[begun]) {
      standing = judgedAfter(standing, next);
      begun++;
    }
    timeline.goOn(at, known(standing, at));
  }
  return timeline.spans();
}

/** What becomes of the claim, which is one of these, at its beginning. */
export function outcomeAmong(claims: readonly Claim[], claim: Claim): Claim["outcome"] {
  const at = claim.validFrom.getTime();
  const ordered = inOrder(claims).filter(isTrueAt(at));
  const before = judged(ordered.slice(0, ordered.indexOf(claim)));
  return outcomeOf(claim, known(before, at)?.holding);
}

/** How the field stands at an instant. */
export function standingAt(spans: readonly Span[], at: Date): Standing | undefined {
  const there = spans.filter(({ from, to }) => from <= at && (!to || at < to));
  const holding = there.find(({ disputed }) => !disputed)?.claim;
  if (!holding) return undefined;
  const pending = there.filter(({ disputed }) => disputed).map(({ claim }) => claim);
  return { holding, pending: inOrder(pending).toReversed() };
}

function inOrder(claims: readonly Claim[]): readonly Claim[] {
  return claims.toSorted(
    (a, b) =>
      a.validFrom.getTime() - b.validFrom.getTime() ||
      a.recordedAt.getTime() - b.recordedAt.getTime() ||
      (a.customerId === b.customerId
        ? a.version - b.version
        : a.customerId < b.customerId
          ? -1
          : 1),
  );
}

function judged(claims: readonly Claim[]): Standing | undefined {
  return claims.reduce<Standing | undefined>(judgedAfter, undefined);
}

function judgedAfter(before: Standing | undefined, claim: Claim): Standing {
  const current = known(before, claim.validFrom.getTime());
  return standingAfter(claim, outcomeOf(claim, current?.holding), current);
}

function known(standing: Standing | undefined, at: number): Standing | undefined {
  const until = standing && knownUntil(standing.holding);
  return until && until.getTime() <= at ? undefined : standing;
}

function isTrueAt(at: number): (claim: Claim) => boolean {
  return ({ validFrom, validTo }) =>
    validFrom.getTime() <= at && (!validTo || at < validTo.getTime());
}

/** Every instant at which something may change. */
function instantsOf(claims: readonly Claim[]): readonly number[] {
  const all = claims.flatMap((claim) => [claim.validFrom, claim.validTo, knownUntil(claim)]);
  const times = new Set(all.flatMap((one) => one?.getTime() ?? []));
  return [...times].toSorted((a, b) => a - b);
}

/** Joins what goes on from one instant to the next. */
class Timeline {
  readonly #done: Span[] = [];
  #open: Omit<Span, "to">[] = [];

  goOn(at: number, standing: Standing | undefined): void {
    const now = new Date(at);
    const there = standing
      ? [
          { claim: standing.holding, disputed: false },
          ...standing.pending.map((claim) => ({ claim, disputed: true })),
        ]
      : [];
    const goesOn = (open: Omit<Span, "to">) =>
      there.some(({ claim, disputed }) => claim === open.claim && disputed === open.disputed);
    for (const open of this.#open) if (!goesOn(open)) this.#done.push({ ...open, to: now });
    const kept = this.#open.filter(goesOn);
    const fresh = there.filter(
      ({ claim, disputed }) =>
        !kept.some((open) => open.claim === claim && open.disputed === disputed),
    );
    this.#open = [...kept, ...fresh.map((one) => ({ ...one, from: now }))];
  }

  spans(): readonly Span[] {
    return [...this.#done, ...this.#open.map((open) => ({ ...open, to: undefined }))];
  }
}
