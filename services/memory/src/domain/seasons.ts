/** A season that a text names; the end is excluded. */
export interface SeasonSpan {
  /** Where it stands in the text. */
  readonly start: number;
  readonly end: number;
  readonly from: Date;
  readonly to: Date;
}

/** The month, from 0, in which each begins: three whole months, of the northern half of the earth. */
const begins: Readonly<Record<string, number>> = {
  spring: 2,
  summer: 5,
  autumn: 8,
  fall: 8,
  winter: 11,
};

const named =
  /\b(?:(?<which>last|past|next|coming|this)\s+)?(?:(?:early|mid|late)[\s-]+)?(?<season>spring|summer|autumn|fall|winter)(?:'s)?(?:(?:\s+of|,)?\s+(?<year>(?:19|20)\d\d))?\b/gi;

/** Alone it is also a verb or a thing: it is a time behind one of these. */
const timed = /\b(?:in|since|until|till|by|before|after|during|of|over)\s+(?:the\s+)?$/i;

/**
 * The seasons in an English text that was said at that time, in UTC. "Last" is the last one that is over,
 * "next" the first that has not begun, "this" that of the year. Alone it is the last one that has begun, or for the
 * future the first that is not over. A winter is of the year in which it begins.
 */
export function seasonsIn(
  text: string,
  saidAt: Date,
  tense: "past" | "future" = "past",
): readonly SeasonSpan[] {
  return [...text.matchAll(named)].flatMap((match): SeasonSpan[] => {
    const { which = "", season = "", year } = match.groups ?? {};
    const end = match.index + match[0].length;
    if (!which && !year && !timed.test(text.slice(0, match.index))) return [];
    if (/^\s+before\s+last\b/i.test(text.slice(end))) return [];
    const month = begins[season.toLowerCase()] ?? 0;
    const first =
      year === undefined ? yearOf(which.toLowerCase(), month, saidAt, tense) : Number(year);
    const [from, to] = [monthAt(first, month), monthAt(first, month + 3)];
    return [{ start: match.index, end, from, to }];
  });
}

/** The year in which the season begins that is meant. */
function yearOf(which: string, month: number, saidAt: Date, tense: "past" | "future"): number {
  const now = saidAt.getUTCFullYear();
  const years = [now - 2, now - 1, now, now + 1];
  const isOver = (year: number) => monthAt(year, month + 3) <= saidAt;
  const hasBegun = (year: number) => monthAt(year, month) <= saidAt;
  switch (which) {
    case "last":
    case "past":
      return years.findLast(isOver) ?? now;
    case "next":
    case "coming":
      return years.find((year) => !hasBegun(year)) ?? now;
    case "this": {
      const isRunning = hasBegun(now - 1) && !isOver(now - 1);
      return isRunning ? now - 1 : now;
    }
    default:
      return (
        (tense === "past" ? years.findLast(hasBegun) : years.find((year) => !isOver(year))) ?? now
      );
  }
}

function monthAt(year: number, month: number): Date {
  return new Date(Date.UTC(year, month, 1));
}
