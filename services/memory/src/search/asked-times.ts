import { seasonsIn } from "../domain/seasons.ts";

/** From here on, until there; milliseconds. */
export interface TimeSpan {
  readonly from: number;
  readonly to: number;
}

const dayMs = 86_400_000;
const months =
  "january february march april may june july august september october november december".split(
    " ",
  );
const weekdays = "sunday monday tuesday wednesday thursday friday saturday".split(" ");
const numbers = "zero one two three four five six seven eight nine ten eleven twelve".split(" ");

/** What comes after so many characters of a question names no more times. */
const readMax = 2_000;

const monthWord = months.map((name) => `${name}|${name.slice(0, 3)}\\b\\.?`).join("|");
const dayNumber = "(\\d{1,2})(?:st|nd|rd|th)?";
const year = "((?:19|20)\\d\\d)";
const dated = new RegExp(
  `\\b(?:${dayNumber},? (?:of )?)?(${monthWord})(?: ${dayNumber}(?!\\d))?(?:,? (?:of )?${year})?(?![\\p{L}\\d])`,
  "giu",
);
const isoDate = /\b((?:19|20)\d\d)-(\d\d)-(\d\d)\b/g;
const bareYear = new RegExp(`\\b${year}\\b`, "g");
const count = `(\\d{1,3}|an?|${numbers.join("|")}|a couple of|a few)`;
const unit = "(day|week|month|year)";
const ago = new RegExp(`\\b${count} ${unit}s? ago\\b`, "gi");
const past = new RegExp(`\\b(?:last|past) (?:${count} )?${unit}(s?)\\b`, "gi");
const thisUnit = new RegExp(`\\bthis ${unit}\\b`, "gi");
const lastWeekday = new RegExp(`\\b(?:last|on|this) (${weekdays.join("|")})\\b`, "gi");
const nearDays: readonly (readonly [RegExp, number])[] = [
  [/\bday before yesterday\b/i, 2],
  [/(?<!before )\byesterday\b|\blast night\b/i, 1],
  [/\btoday\b|\bthis (?:morning|afternoon|evening)\b|\btonight\b/i, 0],
];

/**
 * The times that an English question names, calendar and relative ones, the latter seen from `at`; in
 * UTC. A month without a year is that month of every year from `earliest` to `at`.
 */
export function askedTimes(question: string, at: number, earliest: number): readonly TimeSpan[] {
  const text = question.slice(0, readMax);
  const spans: TimeSpan[] = [];
  const midnight = Math.floor(at / dayMs) * dayMs;
  const today = new Date(midnight);
  const [thisYear, thisMonth] = [today.getUTCFullYear(), today.getUTCMonth()];
  const add = (from: number, to: number) => {
    if (from < to) spans.push({ from, to }); // not so of what is no number
  };
  const add1 = (n: number, of: string) => {
    if (of === "day") add(midnight - n * dayMs, midnight - (n - 1) * dayMs);
    else if (of === "week") add(midnight - (7 * n + 3) * dayMs, midnight - (7 * n - 4) * dayMs);
    else if (of === "month")
      add(monthStart(thisYear, thisMonth - n), monthStart(thisYear, thisMonth - n + 1));
    else add(Date.UTC(thisYear - n, 0), Date.UTC(thisYear - n + 1, 0));
  };

  let calendar = text;
  for (const [found, before, name = "", after, inYear] of text.matchAll(dated)) {
    const month = months.findIndex((each) => each.startsWith(name.slice(0, 3).toLowerCase()));
    const day = Number(before ?? after ?? 0);
    // "may" and "march" are also other words, "Mar" and "Jan" names.
    if (!day && !inYear && !isMonth(name, text)) continue;
    calendar = calendar.replace(found, " ");
    const first = new Date(Math.min(earliest, at)).getUTCFullYear();
    const years = inYear ? [Number(inYear)] : range(Math.max(first, thisYear - 100), thisYear);
    for (const each of years)
      if (day) add(Date.UTC(each, month, day), Date.UTC(each, month, day + 1));
      else add(Date.UTC(each, month), monthStart(each, month + 1));
  }
  for (const [found, y, m, d] of calendar.matchAll(isoDate)) {
    calendar = calendar.replace(found, " ");
    const from = Date.UTC(Number(y), Number(m) - 1, Number(d));
    add(from, from + dayMs);
  }
  for (const { start, end, from, to } of seasonsIn(calendar, new Date(at))) {
    calendar = calendar.slice(0, start) + " ".repeat(end - start) + calendar.slice(end);
    add(from.getTime(), to.getTime());
  }
  for (const [, y] of calendar.matchAll(bareYear))
    add(Date.UTC(Number(y), 0), Date.UTC(Number(y) + 1, 0));

  for (const [pattern, n] of nearDays) if (pattern.test(text)) add1(n, "day");
  for (const [, n = "", of = ""] of text.matchAll(ago)) add1(numberOf(n), of.toLowerCase());
  for (const [, n, of = "", many] of text.matchAll(past)) {
    const each = of.toLowerCase();
    if (n || many) add(midnight - numberOf(n ?? "a few") * daysOf(each) * dayMs, at);
    else add1(1, each);
  }
  for (const [, of = ""] of text.matchAll(thisUnit)) {
    if (of.toLowerCase() === "week") add(midnight - 6 * dayMs, midnight + dayMs);
    else add1(0, of.toLowerCase());
  }
  for (const [, name = ""] of text.matchAll(lastWeekday)) {
    const since = (today.getUTCDay() - weekdays.indexOf(name.toLowerCase()) + 7) % 7 || 7;
    add1(since, "day");
  }
  return spans;
}

/** Whether the question wants to know a time. */
export function wantsTime(question: string): boolean {
  return /^\W*(?:when\b|(?:since|for|until) when\b|(?:how long|how often|what (?:year|month|day|date|time)|(?:in|on|at|during) (?:what|which) (?:year|month|day|date|time))\b)/i.test(
    question.slice(0, 200),
  );
}

/** Words by which a text says when. */
const timeWord =
  /\b(?:yesterday|today|tomorrow|tonight|last|next|ago|recently|weeks?|weekend|months?|years?|morning|since|(?:sun|mon|tues|wednes|thurs|fri|satur)day|january|february|march|april|june|july|august|september|october|november|december|(?:19|20)\d\d|\d+ days|just|soon|upcoming)\b/i;

/** Whether a text says when something was, is or will be. */
export function tellsTime(text: string): boolean {
  return timeWord.test(text);
}

/** How near a time is to the spans: 1 inside, falling by e with every five days outside; 0 for none. */
export function nearness(spans: readonly TimeSpan[], at: number): number {
  let nearest = 0;
  for (const { from, to } of spans) {
    if (at >= from && at < to) return 1;
    const away = at < from ? from - at : at - to;
    nearest = Math.max(nearest, Math.exp(-away / (5 * dayMs)));
  }
  return nearest;
}

function isMonth(name: string, text: string): boolean {
  const full = months.includes(name.toLowerCase());
  if (full && !/^(?:may|march)$/i.test(name)) return true;
  return new RegExp(
    `\\b(?:in|of|since|until|during|last|early|late|mid) ${name.replace(".", "\\.")}`,
    "i",
  ).test(text);
}

function monthStart(inYear: number, month: number): number {
  return Date.UTC(inYear, month, 1);
}

function daysOf(name: string): number {
  return { day: 1, week: 7, month: 30, year: 365 }[name] ?? 1;
}

function numberOf(word: string): number {
  const lower = word.toLowerCase();
  if (lower === "a" || lower === "an") return 1;
  if (lower === "a couple of") return 2;
  if (lower === "a few") return 3;
  const spelled = numbers.indexOf(lower);
  return spelled >= 0 ? spelled : Number(lower);
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: Math.max(1, to - from + 1) }, (_, i) => from + i);
}
