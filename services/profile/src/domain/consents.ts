/** A customer's word on a purpose. */
export interface ConsentWord {
  readonly customerId: string;
  /** The customer's version from this word on. */
  readonly version: number;
  readonly purpose: string;
  readonly granted: boolean;
  readonly validFrom: Date;
  readonly recordedAt: Date;
  readonly recordedBy: string;
  readonly evidence: string;
}

/** A merge that is in force. */
export interface Merge {
  readonly fromId: string;
  readonly intoId: string;
  readonly recordedAt: Date;
}

/**
 * The word that counts on each purpose at an instant, of customers that are one by these merges. Of
 * one customer the last word counts. Of several the stricter: a withdrawal stands against another's
 * consent, until something is said after they became one, which is said for both.
 */
export function consentsAt(
  words: readonly ConsentWord[],
  merges: readonly Merge[],
  at: Date,
): readonly ConsentWord[] {
  const inForce = words.filter(({ validFrom }) => validFrom <= at);
  const byPurpose = Map.groupBy(inForce, ({ purpose }) => purpose);
  return [...byPurpose.values()]
    .flatMap((said) => strictest(said, merges) ?? [])
    .toSorted((a, b) => (a.purpose < b.purpose ? -1 : 1));
}

function strictest(
  said: readonly ConsentWord[],
  merges: readonly Merge[],
): ConsentWord | undefined {
  const last = [...Map.groupBy(said, ({ customerId }) => customerId).values()].flatMap(
    (own) => own.toSorted(byTime).at(-1) ?? [],
  );
  const standing = last.filter((word) => !last.some((other) => replaces(other, word, merges)));
  const ordered = standing.toSorted(byTime);
  return ordered.findLast(({ granted }) => !granted) ?? ordered.at(-1);
}

function replaces(later: ConsentWord, word: ConsentWord, merges: readonly Merge[]): boolean {
  if (later.customerId === word.customerId || byTime(later, word) <= 0) return false;
  const since = oneSince(later.customerId, word.customerId, merges);
  return since !== undefined && later.recordedAt >= since;
}

/** Since when two customers are one: the last merge on the way from one to the other. */
function oneSince(a: string, b: string, merges: readonly Merge[]): Date | undefined {
  const [wayOfA, wayOfB] = [wayUp(a, merges), wayUp(b, merges)];
  const onOne = wayOfA.filter((merge) => !wayOfB.includes(merge));
  const onOther = wayOfB.filter((merge) => !wayOfA.includes(merge));
  const times = [...onOne, ...onOther].map(({ recordedAt }) => recordedAt.getTime());
  return times.length === 0 ? undefined : new Date(Math.max(...times));
}

function wayUp(customerId: string, merges: readonly Merge[]): readonly Merge[] {
  const way: Merge[] = [];
  for (let at = customerId; ;) {
    const merge = merges.find(({ fromId }) => fromId === at);
    if (!merge) return way;
    way.push(merge);
    at = merge.intoId;
  }
}

function byTime(a: ConsentWord, b: ConsentWord): number {
  return (
    a.validFrom.getTime() - b.validFrom.getTime() ||
    a.recordedAt.getTime() - b.recordedAt.getTime() ||
    a.version - b.version
  );
}
