import { select, selectionDefaults, selectionFor } from "@soldier/retrieval/selection";

/** What the engine made of one message. */
export interface Outcome {
  /** Positions of the rules that apply; empty for none. */
  readonly expected: ReadonlySet<number>;
  /** The rules that the record names, best first. */
  readonly ranked: readonly {
    readonly rule: number;
    readonly match: number;
    readonly applied: boolean;
  }[];
  /** The match of every rule, best first. */
  readonly matches: readonly number[];
}

/** Shares are percentages but for auroc, which is 0 to 1; null where there is nothing to measure. */
export interface Figures {
  /** Of messages with a rule: theirs came first, or among the first five. */
  readonly top1: number | null;
  readonly top5: number | null;
  /** How surely the best match tells messages with a rule from those without. */
  readonly auroc: number | null;
  /** By the engine's own thresholds. */
  readonly threshold: {
    /** Of messages with a rule: some rule applied; theirs did; theirs and no other did. */
    readonly kept: number | null;
    readonly right: number | null;
    readonly exact: number | null;
    /** Of messages without: none applied. */
    readonly rejected: number | null;
  };
  /** Of messages with a rule: it went on; and how many rules did, on average. */
  readonly strategies: Readonly<
    Record<string, { readonly recall: number | null; readonly meanSize: number | null }>
  >;
}

export function figuresOf(outcomes: readonly Outcome[]): Figures {
  const inScope = outcomes.filter(({ expected }) => expected.size > 0);
  const outOfScope = outcomes.filter(({ expected }) => expected.size === 0);
  const best = ({ matches }: Outcome) => matches[0] ?? 0;
  const applied = ({ ranked }: Outcome) => ranked.filter((each) => each.applied);
  const isTheirs = ({ expected }: Outcome) => {
    return ({ rule }: { readonly rule: number }) => expected.has(rule);
  };
  return {
    top1: percent(inScope, (each) => each.ranked.slice(0, 1).some(isTheirs(each))),
    top5: percent(inScope, (each) => each.ranked.slice(0, 5).some(isTheirs(each))),
    auroc: auroc(inScope.map(best), outOfScope.map(best)),
    threshold: {
      kept: percent(inScope, (each) => applied(each).length > 0),
      right: percent(inScope, (each) => applied(each).some(isTheirs(each))),
      exact: percent(
        inScope,
        (each) => applied(each).length > 0 && applied(each).every(isTheirs(each)),
      ),
      rejected: percent(outOfScope, (each) => applied(each).length === 0),
    },
    strategies: Object.fromEntries(
      Object.entries({ ...selectionDefaults, [selectionFor.rules.kind]: selectionFor.rules }).map(
        ([kind, strategy]) => {
          const kept = new Map(
            inScope.map((each) => [each, new Set(select(each.matches, strategy).kept)]),
          );
          const goesOn = (each: Outcome) =>
            each.ranked.some((rule, place) => isTheirs(each)(rule) && kept.get(each)?.has(place));
          const size = sum(inScope.map((each) => kept.get(each)?.size ?? 0));
          return [
            kind,
            {
              recall: percent(inScope, goesOn),
              meanSize: inScope.length === 0 ? null : rounded(size / inScope.length, 2),
            },
          ];
        },
      ),
    ),
  };
}

/** The share of pairs that a score puts in the right order, ties counting half. */
export function auroc(positive: readonly number[], negative: readonly number[]): number | null {
  if (positive.length === 0 || negative.length === 0) return null;
  const all = [
    ...positive.map((score) => ({ score, positive: true })),
    ...negative.map((score) => ({ score, positive: false })),
  ].toSorted((a, b) => a.score - b.score);
  let ranks = 0;
  for (let from = 0; from < all.length;) {
    let to = from;
    while (to < all.length && all[to]?.score === all[from]?.score) to++;
    const rank = (from + 1 + to) / 2; // of equal scores each has the mean of their ranks
    ranks += rank * all.slice(from, to).filter((each) => each.positive).length;
    from = to;
  }
  const least = (positive.length * (positive.length + 1)) / 2;
  return rounded((ranks - least) / (positive.length * negative.length), 4);
}

function percent(
  outcomes: readonly Outcome[],
  holds: (outcome: Outcome) => boolean,
): number | null {
  if (outcomes.length === 0) return null;
  return rounded((100 * outcomes.filter(holds).length) / outcomes.length, 2);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all + each, 0);
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
